"""The distillation loss specimen."""
