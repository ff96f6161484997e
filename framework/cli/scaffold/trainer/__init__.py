"""The trainer specimen."""
