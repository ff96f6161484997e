"""The tokenizer of a published model, in whichever layout its folder has it."""

from collections.abc import Callable
from pathlib import Path

from framework.data.spec import DataSpec
from framework.data.tokenization.escaping import escape_special_tokens
from framework.data.tokenization.sentencepiece import sentence_pieces
from framework.data.tokenization.special_tokens import Settings
from framework.data.tokenization.tokenizer import NAMES, Tokenizer, read_json
from framework.data.tokenization.vocabulary_files import Built, byte_level, wordpiece
from framework.errors import UserError

COMPLETE = "tokenizer.json"  # of the `tokenizers` library: says everything


def complete(files: list[Path], settings: Settings) -> Built:
    return read_json(files[0]), {}


LAYOUTS: dict[tuple[str, ...], Callable[[list[Path], Settings], Built]] = {  # in the order in which they are looked for
    (COMPLETE,): complete,
    ("vocab.txt",): wordpiece,
    ("vocab.json", "merges.txt"): byte_level,
    ("encoder.json", "vocab.bpe"): byte_level,
    ("spiece.model",): sentence_pieces,
    ("tokenizer.model",): sentence_pieces,
}


def published_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in a folder of a published model or of a run; or the one of a file there, whatever else the folder has.

    UserError: there is none, its files are damaged or do not belong together, or they do not say how text is split.
    """
    folder, files, build = found(path)
    spec = folder / "data_spec.json"
    if files[0].name == COMPLETE and spec.is_file():  # a run: its data spec know the ids
        return of_run(files[0], spec)
    settings = Settings.read(folder)
    inner, names = build(files, settings)
    settings.mark(inner)
    return Tokenizer(escape_special_tokens(inner), {**names, **settings.names()})


def found(path: Path) -> tuple[Path, list[Path], Callable[[list[Path], Settings], Built]]:
    """The folder, its files, and what makes a tokenizer of them."""
    if path.is_dir():
        for names, build in LAYOUTS.items():
            files = [path / name for name in names]
            if all(file.is_file() for file in files):
                return path, files, build
        looked = ", ".join(" and ".join(names) for names in LAYOUTS)
        halves = [name for names in LAYOUTS if len(names) > 1 for name in names if (path / name).is_file()]
        raise UserError(f"{path} has no tokenizer. Looked for: {looked}{f'; there is {halves[0]} alone' if halves else ''}")
    if not path.is_file():
        raise UserError(f"{path} does not exist; the file or the folder of a tokenizer is wanted: {COMPLETE}, {', '.join(_files()[1:])}")
    for names, build in LAYOUTS.items():
        if path.name in names:
            files = [path.parent / name for name in names]
            lacking = [file.name for file in files if not file.is_file()]
            if lacking:
                raise UserError(f"{path} needs {lacking[0]} beside it, and there is none in {path.parent}")
            return path.parent, files, build
    build = {".txt": wordpiece, ".model": sentence_pieces}.get(path.suffix, complete)
    return path.parent, [path], build


def of_run(path: Path, told: Path) -> Tokenizer:
    """The tokenizer of a run: its special tokens and the size of its tables are in its data spec. UserError: one of both is damaged."""
    inner = read_json(path)
    try:
        spec = DataSpec.load(told)
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{told} is damaged: {error!r}") from None
    ids = {name: getattr(spec, name) for name in NAMES}
    return Tokenizer(inner, {name: None if id is None else inner.id_to_token(id) for name, id in ids.items()}, spec.vocab_size, spec.start)


def _files() -> list[str]:
    return [name for names in LAYOUTS for name in names]
