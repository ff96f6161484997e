"""A plugin package: an attention, a task and a preset."""
