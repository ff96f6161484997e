"""The batch sampler specimen."""
