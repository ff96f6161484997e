"""The optimizer specimen."""
