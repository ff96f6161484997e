"""Memory: what a model needs before it is allocated, what there is, and what to say when it was too little."""

import errno
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from framework.errors import UserError

# What takes less memory, in the order in which it costs least.
OF_A_BATCH = (
    "smaller batches take less: data.batches.budget (or rows), with trainer.accumulate_grad_batches; so do model.max_length, "
    "trainer.precision=bf16-mixed, and activation_checkpointing=true of the encoder or decoder"
)
OF_THE_MODEL = "a smaller model takes less: model.dim, num_layers, tokenizer.vocab_size; so do optimizer=adafactor and model/adapter=lora"
# In messages of RuntimeErrors: torch's allocator of main memory; cuBLAS, cuDNN and NCCL without a workspace; worker processes.
_SAID = re.compile(
    r"can't allocate memory|not enough memory|out of memory|ALLOC_FAILED|Cannot allocate memory|std::bad_alloc", re.IGNORECASE
)
_ASKED = re.compile(r"(?:Tried to allocate|you tried to allocate) ([\d.]+ ?(?:[KMGT]iB|bytes))")


def check_memory(task: Any, config: Mapping[str, Any]) -> None:
    """UserError: weights, gradients and optimizer state of a task on the meta device are more than this machine has. Activations come on
    top, so a run may still end in `memory_errors`."""
    from framework.runs.summary import memory_sizes

    sizes = memory_sizes(task, config)
    place, there = memory(config["trainer"])
    if there and sum(sizes.values()) > there:
        parts = ", ".join(f"{name} {_amount(size)}" for name, size in sizes.items())
        raise UserError(
            f"training this model needs {_amount(sum(sizes.values()))} before activations ({parts}), and {place} has {_amount(there)}\n"
            + OF_THE_MODEL
        )


def memory(trainer: Mapping[str, Any]) -> tuple[str, int]:
    """The device that trains and its bytes of memory: the smallest GPU, where GPUs are asked for or taken; 0 if the system does not say.
    With sharded weights all devices count."""
    import torch

    sharded = trainer.get("strategy") == "fsdp"
    if trainer.get("accelerator", "auto") not in ("cpu", "mps") and torch.cuda.is_available():
        sizes = [torch.cuda.get_device_properties(device).total_memory for device in range(torch.cuda.device_count())]
        return ("all GPUs", sum(sizes) * int(trainer.get("num_nodes", 1))) if sharded else ("a GPU", min(sizes))
    return "this machine", main_memory() * (int(trainer.get("num_nodes", 1)) if sharded else 1)


def main_memory() -> int:
    """Bytes of main memory that this process may use: of the machine, its control group or its limit, whichever is least; 0 if the system
    does not say."""
    known = []
    try:
        known.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        pass
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):  # version 2 and version 1
        try:
            known.append(int(Path(file).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no control groups here, or `max`
            pass
    try:
        import resource

        if (limit := resource.getrlimit(resource.RLIMIT_AS)[0]) != resource.RLIM_INFINITY:
            known.append(limit)
    except ImportError:
        pass
    return min(known, default=0)


@contextmanager
def memory_errors() -> Iterator[None]:
    """A UserError in place of the exceptions of memory that has run out, of main memory and of GPUs: what was asked for, what there is,
    and what to lower."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        on_gpu = type(error).__name__ == "OutOfMemoryError" or re.search("CUDA|CUBLAS|CUDNN", str(error))
        place, there = memory({} if on_gpu else {"accelerator": "cpu"})
        asked = _ASKED.search(str(error))
        wanted = f" for {_readable(asked[1])} more" if asked else ""
        raise UserError(f"out of memory: there was no room{wanted}; {place} has {_amount(there)}\n{OF_A_BATCH}\n{OF_THE_MODEL}") from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory has run out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, which need not be imported
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and bool(_SAID.search(str(error)))


def _readable(asked: str) -> str:
    """`1234567890 bytes` as GiB."""
    number, unit = asked.replace("bytes", " bytes").split()
    return _amount(int(number)) if unit == "bytes" else asked


def _amount(size: float) -> str:
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:,.0f} MiB"
