"""The examination: what a model of the course must be able to do, asked and judged.

`cases` draws three held-out sets; `grading` says what is right; `asking` puts the cases to a model
through its real runtime; `baselines` answers without a model; `statistics` says how sure the
figures are. `python -m slm evaluate` runs all of it.

The files here are the exam's own: `natural.jsonl` (requests written one by one from a tool's
signature and a situation, by writers who saw no pattern of the corpus) and `families/` (tools of
trades that the corpus does not know). They are never edited to fit a model.
"""
