"""The command `explain`: attention by layer and head, and how words move with their context."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from framework.errors import UserError
from framework.registry import nearest
from framework.runs.folder import Run
from framework.utils.files import replacing, why_unwritable, write_text
from framework.utils.library_warnings import silence_warnings
from framework.workflows.trained import opened, own_words

if TYPE_CHECKING:
    from framework.explaining.explanation import Explanation, Shared

WORDS = ("text", "text2", "target", "layer", "head", "to", "device")
ENDINGS = (".json", ".csv", ".html", ".png")


def explain(folder: Path, arguments: Sequence[str]) -> str:
    """The explanation of `text=`, and of `text2=`, by the model of a run, in lines; `to=FILE.json|.csv|.html|.png`, which may be repeated,
    also writes it to files. UserError: what is asked for cannot be understood or done."""
    silence_warnings()
    words = _words(arguments)
    numbers = {name: _number(name, words[name]) for name in ("layer", "head")}
    targets = [Path(name) for name in words["to"]]
    _check(targets)
    run = Run.open(folder)
    predictor = opened(run, [], words["device"])
    from framework.explaining.explanation import explained, shared
    from framework.explaining.said import said

    target = words["target"][-1] if words["target"] else None
    texts = [explained(predictor, words[name][-1], target) for name in ("text", "text2") if words[name]]
    common = shared(*texts) if len(texts) > 1 else []
    lines = [said(texts[0], texts[1] if len(texts) > 1 else None, common, **numbers)]
    for path in targets:
        try:
            lines += [f"\nwritten to {each}" for each in _write(path, texts, common, **numbers)]
        except OSError as error:
            raise UserError(f"to={path} cannot be written: {why_unwritable(error) or error.strerror}") from error
    return "\n".join(lines)


def _write(path: Path, texts: "Sequence[Explanation]", common: "Sequence[Shared]", layer: int | None, head: int | None) -> list[Path]:
    """Writes one file, or of several pictures one for each."""
    from framework.explaining.exact import as_csv, as_json
    from framework.reporting.explain_page import explain_page, explain_pictures

    if path.suffix == ".json":
        write_text(path, as_json(texts, common))
    elif path.suffix == ".csv":
        write_text(path, as_csv(texts))
    elif path.suffix == ".html":
        write_text(path, explain_page(texts, common, layer, head))
    else:
        paths = []
        for each in explain_pictures(texts, common, layer, head):
            paths.append(path.with_name(f"{path.stem}_{each.name}.png"))
            with replacing(paths[-1]) as file:
                file.write(each.png)
        return paths
    return [path]


def _words(arguments: Sequence[str]) -> dict[str, list[str]]:
    words, others = own_words(arguments, *WORDS)
    if others:
        key = others[0].partition("=")[0]
        raise UserError(f"{others[0]}: explain takes {', '.join(f'{word}=' for word in WORDS)}{nearest(key, WORDS)}")
    for name in ("text", "text2"):
        if len(words[name]) > 1 or (words[name] and not words[name][0].strip()):
            raise UserError(f'{name}= is one text: {name}="..."')
    if not words["text"]:
        raise UserError('explain takes text="..." and text2="..." to compare, layer=N head=N for one map, to=FILE.json|.csv|.html|.png')
    return words


def _number(name: str, given: Sequence[str]) -> int | None:
    if not given:
        return None
    if not given[-1].isdecimal() or int(given[-1]) < 1:
        raise UserError(f"{name}={given[-1]}: it is a number from 1")
    return int(given[-1])


def _check(targets: Sequence[Path]) -> None:
    """UserError: a file of another kind; or pictures, which need matplotlib."""
    from framework.reporting.drawing import check_available

    for path in targets:
        if path.suffix not in ENDINGS:
            raise UserError(f"to={path}: the name ends in {', '.join(ENDINGS)}")
        if path.suffix in (".html", ".png"):
            check_available()
