"""Special tokens and options in the JSON files beside a published vocabulary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken

from framework.data.tokenization.tokenizer import KNOWN_SPECIAL_TOKENS, add_tokens
from framework.errors import UserError
from framework.utils.json_files import read_table

CONFIG, MAP, ADDED = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"
MODEL = "config.json"
ROLES = {  # role -> keys of `transformers`; the first one present counts, so [CLS] and [SEP] are begin and end where a model has them
    "padding": ("pad_token",),
    "begin": ("cls_token", "bos_token"),
    "end": ("sep_token", "eos_token"),
    "unknown": ("unk_token",),
    "mask": ("mask_token",),
}
ADDITIONAL = ("additional_special_tokens", "extra_special_tokens")
_TOKEN = str | dict[str, Any]
_TYPES: dict[str, Any] = {  # of the entries that are read
    "tokenizer_class": str | None,
    "model_type": str | None,
    "do_lower_case": bool,
    "strip_accents": bool | None,
    "tokenize_chinese_chars": bool,
    "add_prefix_space": bool,
    "extra_ids": int,
    "added_tokens_decoder": dict[str, dict[str, Any]] | None,
    **dict.fromkeys(("additional_special_tokens", "extra_special_tokens"), list[_TOKEN] | dict[str, Any] | None),
}


@dataclass(frozen=True)
class Settings:
    """algorithm: tokenizer class, or else model type, that the files are made for; empty if they name none. decided_by: the line that names
    it, with its file.
    options: contents of tokenizer_config.json. tokens: key of `transformers` -> special token, None if the files say there is none.
    additional: special tokens without a role. added: id -> token, for tokens that the vocabulary file may lack."""

    folder: Path
    algorithm: str
    decided_by: str
    options: Mapping[str, Any]
    tokens: Mapping[str, AddedToken | None]
    additional: tuple[AddedToken, ...]
    added: Mapping[int, AddedToken]

    @classmethod
    def read(cls, folder: Path) -> "Settings":
        """Read those of the files that a folder has. UserError: one is damaged."""
        options, special_tokens_map, model = (read_table(folder / name, _TYPES) for name in (CONFIG, MAP, MODEL))
        names = ((CONFIG, options, "tokenizer_class"), (MODEL, model, "tokenizer_class"), (MODEL, model, "model_type"))
        file, key, made_for = next(((file, key, table[key]) for file, table, key in names if table.get(key)), ("", "", ""))
        # the newer layout has everything in tokenizer_config.json; in the older one, special_tokens_map.json overrides it
        values = {**special_tokens_map, **options} if "added_tokens_decoder" in options else {**options, **special_tokens_map}
        keys = [key for names in ROLES.values() for key in names if key in values]
        tokens = {key: None if values[key] is None else _token(values[key], True, folder) for key in keys}
        additional = tuple(_token(token, True, folder) for key in ADDITIONAL for token in _listed(values.get(key)))
        decided_by = _line(folder / file, key, str(made_for)) if file else ""
        return cls(folder, str(made_for), decided_by, options, tokens, additional, _added(folder, options))

    def check_algorithm(self, supported: Sequence[str], path: Path) -> None:
        """UserError: the folder is made for a tokenizer that splits text in another way."""
        if self.algorithm and algorithm(self.algorithm) not in supported:
            raise UserError(
                f"{self.folder} is made for {self.algorithm}, and {path.name} does not define how it splits text "
                f"(supported: {', '.join(supported)}).\n"
                f"It is decided by {self.decided_by}; change that line if the text is split as by one of them.\n"
                "Otherwise use its tokenizer.json: AutoTokenizer.from_pretrained(...).save_pretrained(FOLDER) of `transformers` writes it"
            )

    def roles(self) -> dict[str, str | None]:
        """role -> special token, None if the files say there is none; without roles that they do not mention."""
        present = {role: [self.tokens[key] for key in keys if key in self.tokens] for role, keys in ROLES.items()}
        return {role: next((token.content for token in tokens if token is not None), None) for role, tokens in present.items() if tokens}

    def add_to(self, backend: tokenizers.Tokenizer) -> None:
        """Add the added tokens in the order of their ids, then all special tokens. UserError: an id belongs to another token."""
        add_tokens(backend, [token for _, token in sorted(self.added.items())])
        for id, token in sorted(self.added.items()):
            actual = backend.token_to_id(token.content)
            if actual != id:
                raise UserError(
                    f"{self.folder}: the added token {token.content!r} must have the id {id}, and in the vocabulary it has {actual}"
                )
        add_tokens(backend, [*(token for token in self.tokens.values() if token is not None), *self.additional])


def algorithm(name: str) -> str:
    """Normalized name of a tokenizer class or model type: `BertTokenizerFast` and `bert` are equal."""
    return name.lower().replace("-", "").replace("_", "").removesuffix("fast").removesuffix("tokenizer")


def mark_known_special_tokens(backend: tokenizers.Tokenizer) -> None:
    """Mark entries with the usual names of special tokens as special, which vocabulary files alone do not."""
    known = sorted({token for tokens in KNOWN_SPECIAL_TOKENS.values() for token in tokens if backend.token_to_id(token) is not None})
    # the mask token of RoBERTa and BART includes the space before it
    add_tokens(backend, [AddedToken(token, special=True, normalized=False, lstrip=token == "<mask>") for token in known])


def _line(path: Path, key: str, value: str) -> str:
    """The place and the text of `"key": "value"` in a JSON file."""
    numbers = [number for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if f'"{key}"' in line]
    return f'{path}{f", line {numbers[0]}" if numbers else ""}: "{key}": "{value}"'


def _added(folder: Path, options: Mapping[str, Any]) -> dict[int, AddedToken]:
    listed = options.get("added_tokens_decoder")
    try:
        if listed:
            return {int(id): _token(value, bool(value["special"]), folder) for id, value in listed.items()}
        return {int(id): _token(token, False, folder) for token, id in read_table(folder / ADDED).items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{folder}: the added tokens in {CONFIG if listed else ADDED} are damaged: {error!r}") from None


def _listed(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else list(value or ())


def _token(value: Any, special: bool, folder: Path) -> AddedToken:
    """A token in JSON: its text, or an object with `content` and the options of AddedToken."""
    table = {"content": value} if isinstance(value, str) else value
    if not isinstance(table, dict) or not isinstance(table.get("content"), str) or not table["content"]:
        raise UserError(f"{folder}: {value!r} is no special token")
    flags = {name: bool(table[name]) for name in ("single_word", "lstrip", "rstrip", "normalized") if name in table}
    return AddedToken(table["content"], special=special, **{"normalized": not special, **flags})
