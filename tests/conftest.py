"""What every test stands on: no network, no account, one thread, and a cache folder of its own."""

import os
from pathlib import Path

import pytest

# Set before torch, datasets or wandb are imported; what a test starts as a process of its own inherits them.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
for name in [name for name in os.environ if name.startswith(("PYTHONWARNINGS", "WANDB_RUN_ID", "WANDB_SWEEP_ID", "PLUGFORMER_"))]:
    del os.environ[name]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's cache is neither read nor filled."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["PLUGFORMER_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Sums come out the same on any number of cores."""
    import torch

    torch.set_num_threads(1)
