"""Every toy model is made and saved once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.published.their_models import make


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Any, Path]]:
    """Name -> their model, and the folder it is saved in."""
    known: dict[str, tuple[Any, Path]] = {}

    def of(name: str) -> tuple[Any, Path]:
        if name not in known:
            folder = tmp_path_factory.mktemp(name)
            model = make(name)
            model.save_pretrained(folder)
            known[name] = model, folder
        return known[name]

    return of
