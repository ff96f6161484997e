"""`python -m framework export RUN to=TARGET folder=DEST`. The folder appears complete or not at all."""

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

# A target is the module of that name in this package, with LIBRARY, the Hub's name of the library that loads the export, and
# write(loaded, folder, **options), which returns lines of Python: FOLDER stands for the folder, an empty line ends the loading.
TARGETS = {
    "huggingface": "for transformers' Auto classes",
    "safetensors": "weights, config and tokenizer, for this framework",
    "adapter": "the adapter alone",
    "onnx": "graphs for onnxruntime",
    "torch": "a torch.export program",
}
USAGE = f"python -m framework export runs/last to={'|'.join(TARGETS)} folder=DEST"


def export(run_folder: Path, arguments: Sequence[str]) -> str:
    """Writes an export; returns the report. UserError: a wrong argument, run or folder."""
    options = dict(_pair(word) for word in arguments)
    if not options.get("to"):
        raise UserError(f"export needs to=TARGET: {USAGE}")
    target, name = options.pop("to"), options.pop("folder", "")
    if target not in TARGETS:
        known = "; ".join(f"{key} ({meaning})" for key, meaning in TARGETS.items())
        raise UserError(f"to={target} is not a target{nearest(target, TARGETS)}; targets: {known}")
    if not name:
        raise UserError(f"export needs folder=DEST: python -m framework export {run_folder} to={target} folder=DEST")
    folder = Path(name).expanduser()
    check_folder(folder)
    run = Run.open(run_folder)
    module = importlib.import_module(f"framework.export.{target}")
    known_options = [name for name in inspect.signature(module.write).parameters if name not in ("loaded", "folder")]
    for option in options:
        if option not in known_options:
            raise UserError(
                f"{option} is no option of to={target}{nearest(option, known_options)}; its options: {', '.join(known_options) or 'none'}"
            )
    return _write(run, module, folder, options)


def _write(run: Run, module: Any, folder: Path, options: dict[str, str]) -> str:
    from framework.export.adapter import merge_adapter, without_training_parts
    from framework.export.card import card
    from framework.runs.predictor import Predictor
    from framework.runs.resume import changed

    loaded = Predictor.load(run, changed(run, [], [], training=False))  # with defaults of options that are newer than the run
    loaded = without_training_parts(loaded)
    if not module.__name__.endswith(".adapter"):
        loaded = merge_adapter(loaded)
    try:
        with new_folder(folder) as partial:
            lines = module.write(loaded, partial, **options)
            (partial / "README.md").write_text(card(run, loaded, module.LIBRARY, lines), encoding="utf-8")
            sizes = {path.name: path.stat().st_size for path in sorted(partial.iterdir())}
    except OSError as error:
        raise UserError(f"folder={folder} cannot be written: {error.strerror or error}") from error
    loading = "; ".join(takewhile(bool, lines)).replace("FOLDER", str(folder))
    return "\n".join([str(folder), *(f"  {name:<24}{size:>14,} bytes" for name, size in sizes.items()), f"load     {loading}"])


def check_folder(folder: Path) -> None:
    """UserError: the path is a file or a folder with something in it."""
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"folder={folder}: that folder is not empty; name an empty or a new one")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"folder={folder}: that is a file")


def _pair(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals:
        raise UserError(f"{word!r} is not an option: {USAGE}")
    return key, value
