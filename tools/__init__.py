"""The maintainer's commands: `python -m tools labs | execute | bench | speed | pins`."""
