"""Provenance of a run: versions of libraries, and the distributions that registered its parts."""

import contextlib
import importlib.metadata
import platform
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from framework.config import catalogue as index
from framework.config.catalogue import Catalogue
from framework.config.discovery import HERE
from framework.errors import UserError

LONGEST = 10_000_000  # bytes of a difference that are kept
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


def with_present_parts(config: Mapping[str, Any], recorded: Mapping[str, str]) -> dict[str, Any]:
    """The config of a run with its parts under the names that they have now. recorded: part -> distribution, as `distributions` returned.

    UserError: a part comes from a plugin that is not installed, is left out, or no longer has that part.
    """
    catalogue = index.load()
    names = {}
    for part, distribution in recorded.items():
        found = catalogue.of_distribution(part, distribution.partition(" ")[0])
        if found is None:
            raise UserError(f"the run needs {part} of {distribution}, {_why_gone(catalogue, distribution)}")
        names[part] = found
    return _renamed(dict(config), names)


def _why_gone(catalogue: Catalogue, distribution: str) -> str:
    name, _, version = distribution.partition(" ")
    for plugin in catalogue.left_out:
        if plugin.label.partition(" ")[0] == name:
            return f"and {plugin}"
    installed = {entry["distribution"] for names in catalogue.options.values() for entry in names.values()}
    if there := [each for each in sorted(installed) if each.partition(" ")[0] == name]:
        return f"and {there[0]} has no such part; install version {version}"
    if version == HERE:
        return f"which lies in {name} of the folder where the run was started; run the command there"
    return f"which is not installed: python -m pip install '{name}=={version}'"


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [_renamed(value, names) for value in node]
    if not isinstance(node, Mapping):
        return node
    return {key: names.get(value, value) if key == "part" else _renamed(value, names) for key, value in node.items()}


def _parts(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("part"), str):
            yield node["part"]
    if isinstance(node, (Mapping, list)):
        for value in node.values() if isinstance(node, Mapping) else node:
            yield from _parts(value)


def code_difference() -> str:
    """The difference of the tracked files of the git repository that the current folder lies in from its commit; empty without one. Of one
    that is longer than 10 MB, its size."""
    try:
        asked = subprocess.run(
            ["git", "diff", "HEAD", "--no-color", "--no-ext-diff"], capture_output=True, timeout=20, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    if asked.returncode:
        return ""
    if len(asked.stdout) > LONGEST:
        return f"The difference from the commit has {len(asked.stdout):,} bytes, more than the {LONGEST:,} that are kept.\n"
    return asked.stdout.decode("utf-8", "replace")
