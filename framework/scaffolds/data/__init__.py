"""The data specimen."""
