"""The model specimen."""
