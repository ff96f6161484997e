"""Check of the data before the task's code and torch are loaded."""

from collections.abc import Mapping, Sequence
from typing import Any

from framework.data.formats import Format
from framework.registry import build


def check_early(node: Mapping[str, Any], columns: Sequence[str], optional: Sequence[str], seed: int = 0) -> None:
    """Build the source of a config node of kind `data` and check it. UserError: as `Source.check`.

    columns, optional: those of the task's text format, from the catalogue; checking needs nothing else of it.
    """
    declared = type("DeclaredFormat", (Format,), {"columns": tuple(columns), "optional": tuple(optional)})
    build(node, format=declared(), seed=seed).check()
