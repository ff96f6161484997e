"""The feed-forward network specimen."""
