"""Templates of `python -m framework new`: working code in which `specimen` stands for the chosen name."""
