"""The tracker specimen."""
