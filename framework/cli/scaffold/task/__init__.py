"""The task specimen: a text in, a label out."""
