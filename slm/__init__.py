"""How the course's own language models are made: corpus -> tokenizer -> train -> export -> exam.

Read in this order: `corpus` (the conversations a model learns from), `tokenizer` (text to token
ids, and which of them the model is trained to say), `network` (the Llama architecture in PyTorch),
`train`, `export` (a Hugging Face folder under `models/`), `exam` and `evaluate` (the model,
asked through its real runtime what no training has shown it). Only `network` and `train` need
PyTorch: `slm/requirements.txt`.
"""
