"""The schedule specimen."""
