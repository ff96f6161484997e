"""What a training step will cost, from the config alone: memory of a device, operations, bytes sent between devices, time."""
