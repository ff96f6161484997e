"""The decoding strategy specimen."""
