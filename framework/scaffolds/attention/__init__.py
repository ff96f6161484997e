"""The attention specimen."""
