"""What `python -m framework new` writes: working code of ours, in which `specimen` becomes the name that somebody chose."""
