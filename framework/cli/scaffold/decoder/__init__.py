"""The decoder specimen."""
