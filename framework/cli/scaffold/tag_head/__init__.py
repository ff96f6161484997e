"""The tagging head specimen."""
