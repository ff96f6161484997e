"""The adapter specimen."""
