"""The data of a config, ready for a model. Imports no torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.registry import build

if TYPE_CHECKING:
    from framework.data.module import Prepared


def prepare_data(config: Mapping[str, Any], folder: Path | None = None, splits: tuple[str, ...] | None = None) -> "Prepared":
    """Source -> tokenizer -> data spec -> encoded rows; each step is taken from the cache if its inputs are unchanged.

    folder: of a run whose tokenizer and data spec are used. splits: those wanted; None = all. UserError: what is wrong with the data.

    >>> data = prepare_data(compose(["task=classification", "data=files", "data.train=reviews.csv"]))
    >>> data.spec.labels, data.sizes["train"]["rows"], data.sizes["validation"]["rows"]
    (('negative', 'positive'), 38, 2)
    """
    from framework.data.module import prepare

    format = build(config["task"]["format"])
    source = build(config["data"], format=format, seed=config["seed"])
    return prepare(source, build(config["tokenizer"]), format, config["model"]["max_length"], folder, splits)
