"""A trained run as the commands open it that use it: its best weights on a device, and the words of a command line."""

import sys
from collections.abc import Sequence

from framework.runs.folder import Run
from framework.runs.life import standing
from framework.runs.predictor import Predictor, device_of
from framework.workflows.interactive import load


def opened(run: Run, overrides: Sequence[str], device: Sequence[str]) -> Predictor:
    """The best weights of a run on a device; says so if the run has not finished. UserError: see `load`; there is no such device."""
    where = device_of(device[-1] if device else "auto")
    predictor = load(run, overrides)
    if (how := standing(run)) and run.notes().get("state") != "finished":
        print(f"{run.folder} {how}; its best weights until then are used", file=sys.stderr)
    predictor.task.to(where)
    return predictor


def own_words(arguments: Sequence[str], *names: str) -> tuple[dict[str, list[str]], list[str]]:
    """The values of the command's own words, and the overrides."""
    words = {name: [word.partition("=")[2] for word in arguments if word.startswith(f"{name}=")] for name in names}
    return words, [word for word in arguments if word.partition("=")[0] not in words]
