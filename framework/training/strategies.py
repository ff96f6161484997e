"""Fully sharded data parallelism (FSDP2), which Lightning does not offer on CPUs."""

from pytorch_lightning.strategies import ModelParallelStrategy
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

from framework.training.groups import is_stack


class ShardedStrategy(ModelParallelStrategy):
    """Weights, gradients and optimizer state sharded over all processes. Zhao et al. 2023, https://arxiv.org/abs/2304.11277

    FSDP2 on top of Lightning's model-parallel strategy (its `fsdp` does not run on CPUs); a checkpoint is one ordinary file.
    """

    def __init__(self) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False)

    def setup_environment(self) -> None:
        self._data_parallel_size = self.num_nodes * self.num_processes  # all processes; "auto" is one for each node
        super().setup_environment()


def shard(task: nn.Module, mesh: DeviceMesh) -> None:
    """Shard every layer of every stack, then the rest of the task; nothing if the task is sharded already."""
    if isinstance(task, FSDPModule):
        return
    stacks = [module for module in task.modules() if is_stack(module)]
    for layer in [layer for stack in stacks for child in stack.children() if isinstance(child, nn.ModuleList) for layer in child]:
        fully_shard(layer, mesh=mesh)
        if hasattr(layer, "encoder_keys_values"):  # called without `forward`, so it must gather the weights too
            register_fsdp_forward_method(layer, "encoder_keys_values")
    fully_shard(task, mesh=mesh)


def gather(task: nn.Module) -> None:
    """Gather all weights on every rank, so that each rank can decode any number of steps."""
    for module in _sharded(task):
        module.set_reshard_after_forward(False, recurse=False)
        module.unshard()


def scatter(task: nn.Module) -> None:
    """Undo `gather`."""
    for module in _sharded(task):
        module.set_reshard_after_forward(module is not task, recurse=False)
        module.reshard()


def _sharded(task: nn.Module) -> list[FSDPModule]:
    return [module for module in task.modules() if isinstance(module, FSDPModule)]
