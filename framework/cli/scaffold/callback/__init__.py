"""The callback specimen."""
