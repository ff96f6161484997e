"""The text format specimen."""
