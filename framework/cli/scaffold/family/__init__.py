"""The published family specimen."""
