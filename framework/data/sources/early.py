"""What is wrong with the data, found before the task's code and torch are loaded."""

from collections.abc import Mapping, Sequence
from typing import Any

from framework.data.formats import Format
from framework.registry import build


def check_early(node: Mapping[str, Any], columns: Sequence[str], optional: Sequence[str], seed: int = 0) -> None:
    """Opens what a config node of kind `data` names and reads its first rows. UserError: what `Source.check` finds.

    columns, optional: what the task's format declares; it is all that is needed of it (the catalogue has it).
    """
    declared = type("DeclaredFormat", (Format,), {"columns": tuple(columns), "optional": tuple(optional)})
    build(node, format=declared(), seed=seed).check()
