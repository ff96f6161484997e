"""The position specimen."""
