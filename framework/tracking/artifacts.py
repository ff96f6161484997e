"""Models that W&B keeps: `wandb:ENTITY/PROJECT/NAME:ALIAS` as a folder in the cache."""

import re
from pathlib import Path, PurePosixPath
from typing import Any

from framework.errors import UserError
from framework.utils.cache_folder import cache_folder, usable_cache
from framework.utils.files import new_folder

SCHEME = "wandb:"
_NAME = re.compile(r"[\w.-]+/[\w.-]+/[\w.-]+:[\w.-]+", re.ASCII)
_VERSION = re.compile(r"v\d+")


def is_artifact(name: str) -> bool:
    """Whether the name of a model is one of W&B's."""
    return name.startswith(SCHEME)


def versioned(name: str) -> str:
    """The name of an artifact with its version, `wandb:ENTITY/PROJECT/NAME:v3`, since aliases move. UserError: as `artifact_folder`."""
    path = _path(name)
    stem, _, alias = path.partition(":")
    return name if _VERSION.fullmatch(alias) else f"{SCHEME}{stem}:{_found(path).version}"


def artifact_folder(name: str) -> Path:
    """The files of an artifact in the cache, downloaded once.

    UserError: it is no name of one, there is no such artifact, nobody is logged in, there is no network, or a file would lie elsewhere.
    """
    path = _path(versioned(name))
    folder = cache_folder() / "wandb" / path.replace(":", "/")
    if folder.is_dir():
        return folder
    artifact = _found(path)
    for entry in artifact.manifest.entries:
        if PurePosixPath(entry).is_absolute() or ".." in PurePosixPath(entry).parts:
            raise UserError(f"{name}: its file {entry!r} would lie outside its folder; it is not downloaded")
    with usable_cache():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with new_folder(folder) as partial:
            _asked(lambda: artifact.download(root=str(partial), skip_cache=True), path)
    return folder


def _path(name: str) -> str:
    path = name.removeprefix(SCHEME)
    if not _NAME.fullmatch(path) or any(set(part) <= {"."} for part in re.split("[/:]", path)):
        raise UserError(f"{name} is no artifact of Weights & Biases: write {SCHEME}ENTITY/PROJECT/NAME:ALIAS")
    return path


def _found(path: str) -> Any:
    try:
        import wandb
    except ImportError:
        raise UserError(f"{SCHEME}{path} needs the package wandb: python -m pip install wandb") from None
    return _asked(lambda: wandb.Api().artifact(path, type="model"), path)


def _asked(question: Any, path: str) -> Any:
    """The answer of W&B's server. UserError: there is none."""
    import requests
    from wandb.errors import Error

    try:
        return question()
    except (Error, ValueError, requests.RequestException) as error:  # ValueError: of W&B's own checks of names and types
        said = str(error).partition("\n")[0]
        raise UserError(
            f"{SCHEME}{path}: Weights & Biases: {said} (`wandb login` logs in; a name is {SCHEME}ENTITY/PROJECT/NAME:ALIAS)"
        ) from error


def advice(error: Exception) -> str:
    """Message of an error of W&B in one line, with what to do."""
    said = str(error).partition("\n")[0]
    return f"Weights & Biases: {said}\nRun `wandb login`, or choose logger.wandb.mode=offline (WANDB_MODE=offline)."
