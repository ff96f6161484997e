"""Provenance of a run: versions of libraries, and the distributions that registered its parts."""

import contextlib
import importlib.metadata
import platform
from collections.abc import Iterator, Mapping
from typing import Any

from framework.config import catalogue as index

_LIBRARIES = ("plugformer", "torch", "pytorch-lightning", "torchmetrics", "tokenizers", "hydra-core", "wandb")


def library_versions() -> dict[str, str]:
    """Versions of Python and the libraries that metrics may depend on."""
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def distributions(config: Any) -> dict[str, str]:
    """Part -> the distribution that registered it, for each part of a config."""
    catalogue = index.load()
    return {part: catalogue.option(part)["distribution"] for part in sorted(set(_parts(config)))}


def _parts(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("part"), str):
            yield node["part"]
        for value in node.values():
            yield from _parts(value)
