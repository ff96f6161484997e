"""`python -m framework export RUN to=TARGET folder=DEST`: a run as something that others load. The folder is whole or not there."""

import importlib
import inspect
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from framework.errors import UserError
from framework.registry import nearest
from framework.runs.folder import Run
from framework.utils.files import new_folder

# A target is the module of that name here: LIBRARY, the Hub's name of what loads it, and write(loaded, folder, **options), which fills
# a folder and gives lines of Python that load it, those up to the first empty one first of all; FOLDER stands for where it will lie.
TARGETS = {
    "huggingface": "what transformers' Auto classes load",
    "safetensors": "weights under our own names, with config and tokenizer",
    "adapter": "what was trained beside a frozen model",
    "onnx": "graphs for onnxruntime",
    "torch": "a program of torch.export",
}
USAGE = f"python -m framework export runs/last to={'|'.join(TARGETS)} folder=DEST"


def export(run_folder: Path, arguments: Sequence[str]) -> str:
    """Writes what the arguments say; what to say of it. UserError: what is wrong with them, the run or the folder."""
    options = dict(_pair(word) for word in arguments)
    if not options.get("to"):
        raise UserError(f"export needs what it is for: {USAGE}")
    target, name = options.pop("to"), options.pop("folder", "")
    if target not in TARGETS:
        known = "; ".join(f"{key} ({meaning})" for key, meaning in TARGETS.items())
        raise UserError(f"to={target}: nothing of that name can be written{nearest(target, TARGETS)}; there are: {known}")
    if not name:
        raise UserError(f"export needs a folder to write: python -m framework export {run_folder} to={target} folder=DEST")
    folder = Path(name).expanduser()
    check_folder(folder)
    run = Run.open(run_folder)
    module = importlib.import_module(f"framework.export.{target}")
    known_options = [name for name in inspect.signature(module.write).parameters if name not in ("loaded", "folder")]
    for option in options:
        if option not in known_options:
            raise UserError(f"{option}: to={target} has no such option{nearest(option, known_options)}; it has: {_names(known_options)}")
    return _write(run, module, folder, options)


def _write(run: Run, module: Any, folder: Path, options: dict[str, str]) -> str:
    from framework.export.card import card
    from framework.export.merging import without_adapter
    from framework.runs.predictor import Predictor
    from framework.runs.resume import changed

    loaded = Predictor.load(run, changed(run, [], [], training=False))  # with the options that its parts have got since
    if not module.__name__.endswith(".adapter"):
        loaded = without_adapter(loaded)
    try:
        with new_folder(folder) as partial:
            lines = module.write(loaded, partial, **options)
            (partial / "README.md").write_text(card(run, loaded, module.LIBRARY, lines), encoding="utf-8")
            sizes = {path.name: path.stat().st_size for path in sorted(partial.iterdir())}
    except OSError as error:
        raise UserError(f"folder={folder} cannot be written: {error.strerror or error}; nothing is left of it") from error
    loading = "; ".join(takewhile(bool, lines)).replace("FOLDER", str(folder))
    return "\n".join([str(folder), *(f"  {name:<24}{size:>14,} bytes" for name, size in sizes.items()), f"load     {loading}"])


def check_folder(folder: Path) -> None:
    """UserError: something lies there."""
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"folder={folder}: that folder is not empty, and nothing in it is overwritten; name another one")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"folder={folder}: that is a file")


def _pair(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals:
        raise UserError(f"{word!r} is no option; write {USAGE}")
    return key, value


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
