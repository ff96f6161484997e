"""Every toy model is made and saved once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.huggingface.toy_models import make


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Any, Path]]:
    """Name -> their model, and the folder it is saved in. std: of its weights, which are large enough to show every mistake."""
    known: dict[tuple[str, float], tuple[Any, Path]] = {}

    def of(name: str, std: float = 0.3) -> tuple[Any, Path]:
        if (name, std) not in known:
            folder = tmp_path_factory.mktemp(name)
            model = make(name, std)
            model.save_pretrained(folder)
            known[name, std] = model, folder
        return known[name, std]

    return of
