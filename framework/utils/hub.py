"""Resolves the name of a model to a folder: a local one, or the cache of a repository of the Hugging Face Hub."""

import os
import re
import socket
from pathlib import Path

from framework.errors import UserError

HOST = ("huggingface.co", 443)
TIMEOUT = 3.0  # seconds; the library's own retries take minutes
PICKLED = "pytorch_model.bin"  # downloaded only if it is named: it may contain code
WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
CONFIGS = ("config.json", "generation_config.json")
TOKENIZER = ("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "encoder.json", "vocab.bpe", "spiece.model", "tokenizer.model")
TOKENIZER_OPTIONS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_NAME = re.compile(r"(?:[\w-][\w.-]*/)?[\w-][\w.-]*", re.ASCII)


def folder_of(name: str) -> Path:
    """The path itself if it exists; otherwise the cache folder of a Hub model, `NAME` or `OWNER/NAME`, downloaded unless it is complete.
    `NAME/pytorch_model.bin` is that file, which is not downloaded otherwise.

    UserError: neither the path nor the model exists, the model is gated, or the Hub cannot be reached.
    """
    path = Path(name).expanduser()
    if path.exists():
        return path
    repository = name.removesuffix(f"/{PICKLED}")
    if not _NAME.fullmatch(repository) or "--" in repository or ".." in repository:
        raise UserError(f"{name} does not exist: name a folder, a file, or a model on the Hugging Face Hub (OWNER/NAME)")
    pickled = repository != name
    folder = _folder(repository, pickled)
    if not pickled:
        return folder
    if not (folder / PICKLED).is_file():
        raise UserError(f"{repository} has no {PICKLED}")
    return folder / PICKLED


def reachable() -> bool:
    """Whether the Hub can be reached: it is not switched off, and there is a network or a proxy."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "HF_ENDPOINT")):
        return True  # the library connects through it
    try:
        socket.create_connection(HOST, timeout=TIMEOUT).close()
    except OSError:
        return False
    return True


def _folder(repository: str, pickled: bool) -> Path:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HTTPError,
        IncompleteSnapshotError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    cache = constants.HF_HUB_CACHE
    wanted = [*CONFIGS, *TOKENIZER, *TOKENIZER_OPTIONS, *((PICKLED,) if pickled else WEIGHTS)]

    def snapshot(local: bool) -> Path:
        # ignored: folders, which hold other formats and earlier checkpoints
        return Path(snapshot_download(repository, allow_patterns=wanted, ignore_patterns=["*/*"], local_files_only=local))

    cached: Path | None = None
    try:
        cached = snapshot(local=True)
        if _complete(cached, pickled):
            return cached
    except IncompleteSnapshotError as error:
        cached = Path(error.snapshot_path)
    except LocalEntryNotFoundError:
        pass
    if not reachable():
        if cached:  # the missing files may not be needed; whoever needs one raises
            return cached
        raise UserError(
            f"there is no folder {repository}, no model of that name in the cache of the Hugging Face Hub, {cache}, and the Hub cannot be "
            "reached.\nGive the folder of the model, or unset HF_HUB_OFFLINE where there is a network"
        )
    try:
        return snapshot(local=False)
    except GatedRepoError:
        raise UserError(f"{repository} is gated: agree to its terms on https://huggingface.co/{repository}, then `hf auth login`") from None
    except RepositoryNotFoundError:
        raise UserError(
            f"there is no folder {repository}, and the Hugging Face Hub has no such model, or none that you have access to"
        ) from None
    except (LocalEntryNotFoundError, HTTPError, ConnectionError, TimeoutError) as error:
        raise UserError(f"{repository} could not be downloaded from the Hugging Face Hub into {cache}: {first_line(error)}") from None


def _complete(folder: Path, pickled: bool) -> bool:
    """Whether a folder of the cache has a configuration, weights and a tokenizer: other programs may have downloaded single files."""
    weights = (folder / PICKLED).is_file() if pickled else any(folder.glob("*.safetensors"))
    return weights and (folder / CONFIGS[0]).is_file() and any((folder / name).is_file() for name in TOKENIZER)


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, shortened; its type if there is no message."""
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
