"""Tokenizers of published models, in each layout of tokenizer files."""

from collections.abc import Callable
from pathlib import Path

from framework.data.spec import DataSpec
from framework.data.tokenization.escaping import escape_special_tokens
from framework.data.tokenization.sentencepiece import sentencepiece
from framework.data.tokenization.special_tokens import Settings
from framework.data.tokenization.tokenizer import KNOWN_SPECIAL_TOKENS, Tokenizer, read_json
from framework.data.tokenization.vocabulary_files import Backend, byte_level, wordpiece
from framework.errors import UserError

TOKENIZER_JSON = "tokenizer.json"  # of the `tokenizers` library; complete by itself
Builder = Callable[[list[Path], Settings], Backend]


def tokenizer_json(files: list[Path], settings: Settings) -> Backend:
    return read_json(files[0]), {}


LAYOUTS: dict[tuple[str, ...], Builder] = {  # in order of preference
    (TOKENIZER_JSON,): tokenizer_json,
    ("vocab.txt",): wordpiece,
    ("vocab.json", "merges.txt"): byte_level,
    ("encoder.json", "vocab.bpe"): byte_level,
    ("spiece.model",): sentencepiece,
    ("tokenizer.model",): sentencepiece,
}


def published_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a folder of a published model or a run, or of a tokenizer file in it.

    UserError: the folder has no tokenizer, its files are damaged or do not belong together, or they do not define how text is split.
    """
    folder, files, build = find_files(path)
    spec = folder / "data_spec.json"
    if files[0].name == TOKENIZER_JSON and spec.is_file():
        return run_tokenizer(files[0], spec)
    settings = Settings.read(folder)
    backend, special_tokens = build(files, settings)
    settings.add_to(backend)
    return Tokenizer(escape_special_tokens(backend), {**special_tokens, **settings.roles()})


def find_files(path: Path) -> tuple[Path, list[Path], Builder]:
    """The folder, the tokenizer files and their builder."""
    if path.is_dir():
        for names, build in LAYOUTS.items():
            files = [path / name for name in names]
            if all(file.is_file() for file in files):
                return path, files, build
        layouts = ", ".join(" and ".join(names) for names in LAYOUTS)
        incomplete = [name for names in LAYOUTS if len(names) > 1 for name in names if (path / name).is_file()]
        raise UserError(f"{path} has no tokenizer: it must have {layouts}{f', and has only {incomplete[0]}' if incomplete else ''}")
    if not path.is_file():
        known = dict.fromkeys(name for names in LAYOUTS for name in names)
        raise UserError(f"{path} does not exist and must be a folder with a tokenizer, or one of its files: {', '.join(known)}")
    for names, build in LAYOUTS.items():
        if path.name in names:
            files = [path.parent / name for name in names]
            missing = [file.name for file in files if not file.is_file()]
            if missing:
                raise UserError(f"{path} needs {missing[0]}, which is not in {path.parent}")
            return path.parent, files, build
    build = {".txt": wordpiece, ".model": sentencepiece}.get(path.suffix, tokenizer_json)
    return path.parent, [path], build


def run_tokenizer(path: Path, spec_file: Path) -> Tokenizer:
    """The tokenizer of a run, with special tokens and vocab_size from its data spec. UserError: a file is damaged."""
    backend, spec = read_json(path), DataSpec.load(spec_file)
    ids = {role: getattr(spec, role) for role in KNOWN_SPECIAL_TOKENS}
    special_tokens = {role: None if id is None else backend.id_to_token(id) for role, id in ids.items()}
    tokenizer = Tokenizer(backend, special_tokens, spec.vocab_size, spec.start)
    check_ids(tokenizer, spec.vocab_size, f"{path} and {spec_file.name}")
    return tokenizer


def check_ids(tokenizer: Tokenizer, rows: int, where: object) -> None:
    """UserError: a tokenizer has ids beyond the table of token embeddings, which has so many rows."""
    if tokenizer.vocab_size > rows:
        raise UserError(
            f"{where} do not belong together: the tokenizer has ids up to {tokenizer.vocab_size - 1:,}, and the table of token embeddings "
            f"has {rows:,} rows"
        )
