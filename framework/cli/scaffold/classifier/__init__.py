"""The classifier specimen."""
