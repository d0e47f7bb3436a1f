"""The course's server: OpenAI's API and Ollama's in front of runtimes that have none of their own.

`helpers.backends` starts it in a child process. app.py has what both front doors share, openai.py
and ollama.py are the doors, engine.py says what they ask of a model. batched.py makes an engine of
a Python library (onnx.py, openvino.py, mlx.py, foundry.py), llama.py of llama.cpp's server.
"""
