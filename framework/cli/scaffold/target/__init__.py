"""The target specimen."""
