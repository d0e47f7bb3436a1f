"""The small package the notebooks import: find, start, stop, convert, check and show.

`model` (the course's models on disk), `backends` (runtimes that serve them), `checks` (one module
a lab), `show` (plots and widgets several lessons share), `worlds` (where agents act), and the
doctor: `python -m helpers`. Talking to a model is left to the standard clients.
"""
