"""The data of a config, made ready: the first step of a run, of an evaluation, of a look at it. Needs no torch of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.registry import build

if TYPE_CHECKING:
    from framework.data.module import Prepared


def prepare_data(config: Mapping[str, Any], folder: Path | None = None, splits: tuple[str, ...] | None = None) -> "Prepared":
    """Source -> tokenizer -> spec -> encoded rows, from the cache where they are there already.

    folder: a run whose tokenizer and data spec are taken. splits: those wanted; None = all. UserError: what is wrong with the data.
    """
    from framework.data.module import prepare

    format = build(config["task"]["format"])
    source = build(config["data"], format=format, seed=config["seed"])
    return prepare(source, build(config["tokenizer"]), format, config["model"]["max_length"], folder, splits)
