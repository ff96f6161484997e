"""Memory that does not suffice: refused before it is allocated, or answered with what to lower when it runs out."""

import errno
import resource
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from framework.cli.train import main
from framework.config.compose import compose
from framework.errors import UserError
from framework.workflows import memory
from framework.workflows.memory import check_memory, is_out_of_memory, main_memory, memory_errors
from framework.workflows.trial import try_options
from tests import forks

GIB = 2**30
OUT = {
    "main memory": MemoryError(),
    "numpy": MemoryError("Unable to allocate 7.28 TiB for an array with shape (1000000, 1000000) and data type float64"),
    "torch": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 8589934592 bytes"
    ),
    "a GPU": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 8.00 GiB. GPU 0 has a total capacity of 79.10 GiB"),
    "cuBLAS": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    "a process": OSError(errno.ENOMEM, "Cannot allocate memory"),
}


@pytest.mark.parametrize("error", OUT.values(), ids=OUT)
def test_memory_that_runs_out_is_answered_with_what_to_lower(error, monkeypatch):
    monkeypatch.setattr(memory, "main_memory", lambda: 16 * GIB)
    with pytest.raises(UserError) as caught, memory_errors():
        raise error
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("out of memory: ") and 2 <= len(lines) <= 4
    assert "data.batches.budget" in lines[1] and "model.dim" in lines[2]
    if "llocate 8" in str(error):
        assert "8.0 GiB" in lines[0].replace("8.00 GiB", "8.0 GiB")
    assert "16.0 GiB" in lines[0] or torch.cuda.is_available()


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes do not match"), OSError(errno.ENOENT, "no such file"), OSError(errno.ENOSPC, "full")]
)
def test_other_errors_stay_what_they_are(error):
    assert not is_out_of_memory(error)
    with pytest.raises(type(error)) as caught, memory_errors():
        raise error
    assert caught.value is error


def test_a_model_that_cannot_fit_is_refused_before_it_is_allocated(monkeypatch):
    words = ["task=classification", "tokenizer=bytes", "model.dim=64", "model.num_heads=2", "model.num_layers=2", "trainer.accelerator=cpu"]
    config = compose(words).config
    monkeypatch.setattr(memory, "main_memory", lambda: 2**20)
    with pytest.raises(UserError, match=r"needs 2 MiB before activations \(weights .*this machine has 1 MiB"):
        try_options(config)
    try_options(config, big=True)
    monkeypatch.setattr(memory, "main_memory", lambda: 2**22)
    try_options(config)


@pytest.mark.parametrize(("optimizer", "precision", "tensors"), [("adamw", "32-true", 4), ("sgd", "32-true", 3), ("adamw", "bf16-true", 2)])
def test_weights_gradients_and_optimizer_state_count(optimizer, precision, tensors, monkeypatch):
    config = {"trainer": {"accelerator": "cpu", "precision": precision}, "optimizer": {"part": f"optimizer/{optimizer}"}}
    layer = torch.nn.Linear(1024, 1024, bias=False, device="meta")  # 4 MiB
    monkeypatch.setattr(memory, "main_memory", lambda: tensors * 2**22)
    check_memory(layer, config)
    monkeypatch.setattr(memory, "main_memory", lambda: tensors * 2**22 - 1)
    with pytest.raises(UserError, match=f"needs {4 * tensors} MiB"):
        check_memory(layer, config)


def limited(words: Sequence[str]) -> int:
    """Trains in 3 GiB of address space; prints what there is."""
    resource.setrlimit(resource.RLIMIT_AS, (3 * GIB, 3 * GIB))
    print(main_memory())
    return main(words)


def test_the_limit_of_a_process_counts(tmp_path, monkeypatch):
    """In a process with 3 GiB of address space: what there is, and a step that needs more ends with a message."""
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text("the cat sees the dog\n" * 500)
    words = "task=completion data=files data.train=text.txt tokenizer=bytes model.dim=16 model.num_heads=2 model.num_layers=1 "
    words += "model.embedding_dim=131072 data/batches=packed data.batches.rows=16 task.baseline=false trainer.max_steps=1 "
    words += "trainer.accelerator=cpu"  # 16 x 512 embeddings of 512 KiB
    code, out, said = forks.run("tests.training.test_memory:limited", words.split())
    assert code == 2, said
    assert int(out.split()[0]) <= 3 * GIB
    assert "out of memory: there was no room for " in said and "Traceback" not in said
    assert main_memory() > 0
