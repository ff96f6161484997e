"""Number of processes that a trainer asks for on this machine."""

import os
from collections.abc import Mapping
from typing import Any

from framework.errors import UserError
from framework.utils.ranks import Ranks

PLANNED = 1024  # processes of a machine in a plan


def count_processes(trainer: Mapping[str, Any], place: Ranks) -> int:
    """Processes on each machine, by `trainer.devices`. place: of this process; torchrun and srun have decided already. Torch is imported
    only to count GPUs, where that decides.

    UserError: `devices` is no number of processes and no list of devices, there are not so many, or another number has been started.
    """
    devices, nodes = trainer.get("devices", 1), trainer.get("num_nodes", 1)
    count = _count(devices, trainer.get("accelerator", "auto"))
    if place.launcher in ("torchrun", "srun"):
        if (count, nodes) != (place.local_size, place.nodes) or place.size % place.nodes:
            raise UserError(
                f"{place.launcher} started {place.size} processes on {place.nodes} machine{'s' * (place.nodes > 1)}, but trainer.devices="
                f"{devices} and trainer.num_nodes={nodes}\nset trainer.devices={place.local_size} trainer.num_nodes={place.nodes}"
            )
    elif nodes != 1:
        raise UserError(
            f"trainer.num_nodes={nodes}: the processes of several machines are started by torchrun or srun, once on each machine\n"
            f"torchrun --nnodes {nodes} --nproc_per_node {count} ... train.py ... trainer.num_nodes={nodes} trainer.devices={count}"
        )
    return count


def planned_processes(trainer: Mapping[str, Any]) -> int:
    """Processes on each machine of a plan: this one's cores and GPUs do not matter. UserError: as `count_processes`."""
    devices = trainer.get("devices", 1)
    planned = type(devices) is int and 1 <= devices <= PLANNED
    return devices if planned else count_processes({**trainer, "num_nodes": 1}, Ranks())


def _count(devices: Any, accelerator: str) -> int:
    what = f"trainer.devices={devices}"
    if devices == "auto" or (accelerator != "cpu" and devices in (-1, "-1")):
        return _gpus(accelerator) or 1
    if isinstance(devices, str) and "," in devices:
        devices = [part.strip() for part in devices.strip("[], ").split(",")]
    if isinstance(devices, (list, tuple)):
        return _chosen(devices, accelerator, what)
    count = int(devices) if isinstance(devices, int) or (isinstance(devices, str) and devices.isdigit()) else 0
    if isinstance(devices, bool) or count < 1:
        raise UserError(
            f"{what}: write a number of processes of at least 1{'' if accelerator == 'cpu' else ', a list of GPUs, or -1 for all'}"
        )
    cores = os.cpu_count() or 1
    if count > (most := max(8, 4 * cores)):
        raise UserError(f"{what} are {count:,} processes on a machine with {cores} cores; write at most {most}")
    if count > 1 and (gpus := _gpus(accelerator)) is not None and count > gpus:
        raise UserError(f"{what}, but this machine has {gpus} GPU{'s' * (gpus != 1)}")
    return count


def _chosen(devices: Any, accelerator: str, what: str) -> int:
    """The length of a list of GPUs."""
    numbers = [int(each) if str(each).isdigit() else -1 for each in devices]
    if accelerator == "cpu" or (gpus := _gpus(accelerator)) is None:
        raise UserError(f"{what}: a list names GPUs; on a processor write a number of processes, trainer.devices={max(1, len(numbers))}")
    if not numbers or -1 in numbers or len(set(numbers)) < len(numbers):
        raise UserError(f"{what}: write the numbers of GPUs, each once, as in trainer.devices=[0,1]")
    if max(numbers) >= gpus:
        raise UserError(f"{what}, but this machine has {gpus} GPU{'s' * (gpus != 1)}, numbered from 0")
    return len(numbers)


def _gpus(accelerator: str) -> int | None:
    """Number of GPUs that the accelerator stands for; None for the processor."""
    if accelerator == "cpu":
        return None
    import torch

    count = torch.accelerator.device_count() if torch.accelerator.is_available() else 0
    return None if accelerator == "auto" and count == 0 else count
