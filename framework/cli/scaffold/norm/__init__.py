"""The norm specimen."""
