"""One field of one file of a folder replaced by a value of another type, or of a size that no field has."""

import copy
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from framework.utils.yaml_files import dump

JSON_FILES = (
    "run.json",
    "data_spec.json",
    "metrics.json",
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "tokenizer.json",
)
FILES = (*JSON_FILES, "model.safetensors.index.json", "special_tokens_map.json", "config.yaml")
SEVERAL = 3  # entries of a long list or object that are replaced


def _deep() -> Any:
    value: Any = []
    for _ in range(300):
        value = [value]
    return value


VALUES: dict[str, Any] = {
    "null": None,
    "a number": 7,
    "zero": 0,
    "a negative number": -3,
    "a huge number": 10**30,
    "a fraction": 0.5,
    "nan": math.nan,
    "infinity": math.inf,
    "a text": "x",
    "an empty text": "",
    "a list": [1, "x"],
    "an object": {"x": [1]},
    "true": True,
    "depth": _deep(),
    "an interpolation": "${oc.env:HOME}",
}


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all values in a value: of long lists and objects the first, and the last."""
    yield place
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    for key, inner in items if len(items) < 60 else [*items[: SEVERAL - 1], items[-1]]:
        yield from places(inner, (*place, key))


def replaced(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    value = copy.copy(value)
    value[place[0]] = replaced(value[place[0]], place[1:], new)
    return value


def mutations(folder: Path) -> list[tuple[str, tuple[Any, ...], str]]:
    """(file, place, name of the value) of every mutation of a folder."""
    found = []
    for name in FILES:
        if (folder / name).is_file():
            found += [(name, place, value) for place in places(content(folder / name)) for value in VALUES]
    return found


def content(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    return yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text)


def mutate(folder: Path, file: str, place: tuple[Any, ...], value: str) -> None:
    """Writes the mutation into a folder."""
    new = replaced(content(folder / file), place, VALUES[value])
    (folder / file).unlink()  # it may be a link to the file of the good folder
    (folder / file).write_text(dump(new) if file.endswith(".yaml") else json.dumps(new), encoding="utf-8")
