"""The block specimen."""
