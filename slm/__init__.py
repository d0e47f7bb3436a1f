"""How the course's own language models are made: corpus -> tokenizer -> train -> export.

Read in this order: `corpus` (the conversations a model learns from), `tokenizer` (text to token
ids, and which of them the model is trained to say), `network` (the Llama architecture in PyTorch),
`train`, `export` (a Hugging Face folder under `models/`), `evaluate` (the exported model, asked
through its real runtime). Only `network` and `train` need PyTorch: `slm/requirements.txt`.
"""
