"""What the small files beside a published vocabulary say: its special tokens, its added tokens, its options."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken

from framework.data.tokenization.tokenizer import NAMES, add
from framework.errors import UserError
from framework.utils.json_table import read_table

CONFIG, MAP, ADDED = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"
MODEL = "config.json"
ROLES = {  # our name -> theirs; the first that is told counts: [CLS] and [SEP] begin and end a text where a model has them
    "padding": ("pad_token",),
    "begin": ("cls_token", "bos_token"),
    "end": ("sep_token", "eos_token"),
    "unknown": ("unk_token",),
    "mask": ("mask_token",),
}
MORE = ("additional_special_tokens", "extra_special_tokens")


@dataclass(frozen=True)
class Settings:
    """algorithm: the tokenizer, or else the model, that the files say they are made for; empty where they say nothing.
    options: tokenizer_config.json as it stands. special: their name -> token, None where they say there is none.
    more: special tokens of no role. added: id -> token, for entries that the vocabulary file may not have."""

    folder: Path
    algorithm: str
    options: Mapping[str, Any]
    special: Mapping[str, AddedToken | None]
    more: tuple[AddedToken, ...]
    added: Mapping[int, AddedToken]

    @classmethod
    def read(cls, folder: Path) -> "Settings":
        """From a folder, which may have none of these files. UserError: one is damaged."""
        options, told, model = (read_table(folder / name) for name in (CONFIG, MAP, MODEL))
        made_for = options.get("tokenizer_class") or model.get("tokenizer_class") or model.get("model_type") or ""
        # the newer layout says everything in one file; before it, the map had the last word
        values = {**told, **options} if "added_tokens_decoder" in options else {**options, **told}
        keys = [key for names in ROLES.values() for key in names if key in values]
        special = {key: None if values[key] is None else _token(values[key], True, folder) for key in keys}
        more = [token for key in MORE for token in _listed(values.get(key))]
        return cls(folder, str(made_for), options, special, tuple(_token(token, True, folder) for token in more), _added(folder, options))

    def check_algorithm(self, known: Sequence[str], path: Path) -> None:
        """UserError: the folder says that its files were made for a tokenizer that splits text in another way."""
        if self.algorithm and algorithm(self.algorithm) not in known:
            raise UserError(
                f"{self.folder} is made for {self.algorithm}, and {path.name} does not say how that one splits text "
                f"(known here: {', '.join(known)}).\n"
                "Take its tokenizer.json: AutoTokenizer.from_pretrained(...).save_pretrained(FOLDER) of `transformers` writes it"
            )

    def token(self, key: str, default: str) -> str:
        token = self.special.get(key)
        return default if token is None else token.content

    def names(self) -> dict[str, str | None]:
        """Our name -> token, of those that are told; None where they say there is none."""
        told = {role: [self.special[key] for key in keys if key in self.special] for role, keys in ROLES.items()}
        return {role: next((token.content for token in tokens if token is not None), None) for role, tokens in told.items() if tokens}

    def mark(self, inner: tokenizers.Tokenizer) -> None:
        """Adds the added tokens, by their ids, then special ones that are no entries yet. UserError: another token has such an id."""
        for id, token in sorted(self.added.items()):
            add(inner, [token])
            found = inner.token_to_id(token.content)
            if found != id:
                raise UserError(f"{self.folder}: the token {token.content!r} is said to have the id {id}; by the vocabulary it has {found}")
        add(inner, [*(token for token in self.special.values() if token is not None), *self.more])


def algorithm(name: str) -> str:
    """`BertTokenizerFast` and `bert` are the same."""
    return name.lower().replace("-", "").replace("_", "").removesuffix("fast").removesuffix("tokenizer")


def mark_known(inner: tokenizers.Tokenizer) -> None:
    """Marks entries as special that have the name of a special token: what vocabulary files alone do not say."""
    known = sorted({token for tokens in NAMES.values() for token in tokens if inner.token_to_id(token) is not None})
    # RoBERTa's and BART's mask takes the space before it along
    add(inner, [AddedToken(token, special=True, normalized=False, lstrip=token == "<mask>") for token in known])


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
    """A token as it is written there: its text, or a table of its text and how it is matched."""
    table = {"content": value} if isinstance(value, str) else value
    if not isinstance(table, dict) or not isinstance(table.get("content"), str) or not table["content"]:
        raise UserError(f"{folder}: {value!r} among its special tokens is none")
    flags = {name: bool(table[name]) for name in ("single_word", "lstrip", "rstrip", "normalized") if name in table}
    return AddedToken(table["content"], special=special, **{"normalized": not special, **flags})
