"""Where a model lies that somebody named: a folder here, or a repository of the Hugging Face Hub."""

import os
import re
import socket
from pathlib import Path

from framework.errors import UserError

HOST = ("huggingface.co", 443)
PATIENCE = 3.0  # seconds until we believe that there is no network; the library's own retries take minutes
PICKLED = "pytorch_model.bin"  # asked for by name alone: it may hold code
WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
CONFIGS = ("config.json", "generation_config.json")
TOKENIZER = ("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "encoder.json", "vocab.bpe", "spiece.model", "tokenizer.model")
TOKENIZER_OPTIONS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_NAME = re.compile(r"(?:[\w-][\w.-]*/)?[\w-][\w.-]*", re.ASCII)


def folder_of(name: str) -> Path:
    """A file or folder that exists is itself. Anything else is a model of the Hub, `NAME` or `OWNER/NAME`: the folder in its cache,
    downloaded where it is not there whole. `NAME/pytorch_model.bin`: that file, which is not downloaded otherwise.

    UserError: there is no such folder, and the Hub has no such model, does not hand it out, or cannot be reached.
    """
    path = Path(name).expanduser()
    if path.exists():
        return path
    repository = name.removesuffix(f"/{PICKLED}")
    if not _NAME.fullmatch(repository) or "--" in repository or ".." in repository:
        raise UserError(f"{name} does not exist: a folder or file, or the name of a model on the Hugging Face Hub (OWNER/NAME) is wanted")
    pickled = repository != name
    folder = _folder(repository, pickled)
    if not pickled:
        return folder
    if not (folder / PICKLED).is_file():
        raise UserError(f"{repository} has no {PICKLED}")
    return folder / PICKLED


def reachable() -> bool:
    """Whether asking the Hub makes sense."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "HF_ENDPOINT")):
        return True  # another way out, which the library knows
    try:
        socket.create_connection(HOST, timeout=PATIENCE).close()
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
        # ignored: what lies in folders, which are other formats and former states
        return Path(snapshot_download(repository, allow_patterns=wanted, ignore_patterns=["*/*"], local_files_only=local))

    kept: Path | None = None
    try:
        kept = snapshot(local=True)
        if _whole(kept, pickled):
            return kept
    except IncompleteSnapshotError as error:
        kept = Path(error.snapshot_path)
    except LocalEntryNotFoundError:
        pass
    if not reachable():
        if kept:  # what is lacking may not be wanted; who wants it says so
            return kept
        raise UserError(
            f"there is no folder {repository}, no model of that name in the cache of the Hugging Face Hub, {cache}, and the Hub cannot be "
            "reached.\nGive the folder of the model, or unset HF_HUB_OFFLINE where there is a network"
        )
    try:
        return snapshot(local=False)
    except GatedRepoError:
        raise UserError(
            f"{repository} is for those who agreed to its terms: do so on https://huggingface.co/{repository}, then `hf auth login`"
        ) from None
    except RepositoryNotFoundError:
        raise UserError(f"there is no folder {repository}, and the Hugging Face Hub has no such model, or none that you may see") from None
    except (LocalEntryNotFoundError, HTTPError, ConnectionError, TimeoutError) as error:
        raise UserError(f"{repository} could not be downloaded from the Hugging Face Hub into {cache}: {first_line(error)}") from None


def _whole(folder: Path, pickled: bool) -> bool:
    """Whether a folder of the cache has a configuration, weights and a tokenizer: other programs may have fetched single files."""
    weights = (folder / PICKLED).is_file() if pickled else any(folder.glob("*.safetensors"))
    return weights and (folder / CONFIGS[0]).is_file() and any((folder / name).is_file() for name in TOKENIZER)


def first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
