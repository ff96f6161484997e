"""The encoder specimen."""
