"""The data that a trained run is measured on: its own rows, or those that overrides name."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from framework.data.labels import label_remarks
from framework.data.module import Prepared
from framework.data.sources.files import FilesData
from framework.errors import UserError
from framework.runs.build import prepare_data
from framework.runs.folder import Run

MEASURED = ("validation", "test")
_SPLITTING = ("validation_share", "test_share", "split")  # options by which a run divided its training rows


def measured_data(run: Run, config: Mapping[str, Any], overrides: Sequence[str]) -> Iterator[tuple[str, Prepared]]:
    """Each split to measure, encoded: the run's own validation and test rows, as training divided them, or the rows of the split that an
    override names (data.test=FILE). Options that say how files are read hold for the named splits alone, if there are any.

    config: the run's, with the overrides. Prints on stderr what is measured, and what is left out because its files are gone.
    UserError: an override would divide the training rows anew; there is nothing to measure on, or it cannot be read.
    """
    saved = run.config()
    _check_division(saved, config)
    other = config["data"]["part"] != saved["data"]["part"]
    named = [split for split in MEASURED if any(re.match(rf"\+*data\.{split}[.=]", word) for word in overrides)]
    named = named or (list(MEASURED) if other else [])
    own = {**config, "data": saved["data"] if other else _own_data(saved["data"], config["data"], named)}
    measured = False
    for split in MEASURED:
        try:
            prepared = prepare_data(config if split in named else own, run.folder, splits=(split,))
        except UserError as error:
            if split in named or not named:
                raise
            print(f"{split} is left out: {str(error).partition(chr(10))[0]}", file=sys.stderr)
            continue
        if prepared.splits:
            measured = True
            words = [word for word in overrides if word.lstrip("+").startswith("data")] if split in named else []
            _print_split(run, split, prepared, words, sampled=config["data"].get("limit") != saved["data"].get("limit"))
            yield split, prepared
    if not measured:
        raise UserError("there is nothing to evaluate on: the data has no validation and no test part (data.test=FILE)")


def _check_division(saved: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    keys = [("seed", saved["seed"], config["seed"])]
    if config["data"]["part"] == saved["data"]["part"]:
        keys += [(f"data.{name}", saved["data"].get(name), config["data"].get(name)) for name in _SPLITTING]
    for name, before, after in keys:
        if before != after:
            raise UserError(
                f"{name} may not change: rows that the run was trained on would be measured. It was {before!r}, not {after!r}\n"
                "set data.test=FILE to measure other rows"
            )


def _own_data(saved: Mapping[str, Any], changed: Mapping[str, Any], named: Sequence[str]) -> dict[str, Any]:
    """The data of the run where its files are now: without the splits that overrides name and the options by which those are read."""
    kept = {*named, *(FilesData.reading if named else ())}
    return {name: saved.get(name) if name in kept else value for name, value in changed.items()}


def _print_split(run: Run, split: str, prepared: Prepared, words: Sequence[str], sampled: bool) -> None:
    """Prints where the rows of a split are from, and remarks about them. words: by which they were named; none = they are the run's
    own. sampled: by another limit than the run's."""
    origin, before = "the run's own", run.checksums().get(split)
    if words:
        origin = f"by {' '.join(words)}"
    elif not sampled and before not in (None, prepared.checksums.get(split)):
        origin = "not those of the run: its data has changed, so rows that it was trained on may be among them"
    print(f"{split:<12}{prepared.sizes[split]['rows']:>10,} rows, {origin}", file=sys.stderr)
    counts = {"train": dict.fromkeys(prepared.spec.labels, 0), split: prepared.labels.get(split, {})}
    for remark in [*label_remarks(counts), *(f"{split}: {remark}" for remark in prepared.encoded[split].remarks)]:
        print(remark, file=sys.stderr, flush=True)
