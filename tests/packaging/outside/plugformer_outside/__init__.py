"""What somebody else brings to plugformer: an attention, a task and a preset."""
