"""Costs of a training step, from the config alone: memory of a device, operations, bytes sent between devices, time."""
