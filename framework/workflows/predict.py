"""The command `predict`, which imports neither Lightning nor torchmetrics: they take longer than an answer."""

import sys
from collections.abc import Sequence
from pathlib import Path

from framework.errors import UserError
from framework.runs.folder import Run
from framework.runs.predictor import BATCH_ROWS, WINDOW
from framework.utils.library_warnings import silence_warnings
from framework.utils.phases import phase
from framework.workflows.answers import STDIN, rows_of, writing
from framework.workflows.trained import opened, own_words


def predict(folder: Path, arguments: Sequence[str]) -> None:
    """Prints the prediction for `text=...`, or one JSON line for each row of `file=...`, which `to=...` writes to a file instead.

    UserError: what is asked for cannot be understood or done; an existing file would be lost.
    """
    silence_warnings()
    words, overrides = own_words(arguments, "text", "file", "kind", "to", "device", "overwrite")
    run = Run.open(folder)
    if bool(words["text"]) == bool(words["file"]):
        raise UserError('predict takes text="..." or file=FILE (and to=FILE, and options such as task.decoding.max_new_tokens=50)')
    file, kind, to, overwrite = (words[name][-1] if words[name] else None for name in ("file", "kind", "to", "overwrite"))
    if to is not None and (not to or not file):
        raise UserError(f"to={to} is a file for the answers to file=FILE")
    if overwrite not in (None, "true", "false"):
        raise UserError(f"overwrite={overwrite}: it is true or false")
    with writing(to, overwrite == "true", file) as write:
        predictor = opened(run, overrides, words["device"])
        if not file:
            for answer in predictor.predict(words["text"]):
                plain = answer.keys() == {"prediction"} and isinstance(answer["prediction"], str)
                print(answer["prediction"]) if plain else write(answer)
            return
        without = 0
        rows = rows_of(file, predictor.config, predictor.format, overrides, kind)
        with phase("predicting") as predicting:
            answers = predicting.counted(predictor.stream(rows, BATCH_ROWS if file == STDIN else WINDOW))
            for number, answer in enumerate(answers):
                write({"row": number, **answer})
                without += "reason" in answer
    if without:
        print(f"{without:,} of {number + 1:,} rows have no prediction; the reason stands in their answers", file=sys.stderr)
