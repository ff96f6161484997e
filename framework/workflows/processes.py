"""Training in as many processes as the trainer asks for: this one, ranks started here, or ranks started by torchrun or srun.

One process composes the run and makes its folder; every other rank reads the explicit config from that folder.
"""

import contextlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from framework.errors import UserError
from framework.runs.folder import Run
from framework.runs.life import recorded
from framework.runs.lock import join
from framework.training.interruption import Interrupted, interruption
from framework.utils.phases import phase, reported
from framework.utils.ranks import ranks
from framework.utils.streams import prepare_streams, unbroken_output
from framework.workflows.devices import count_processes
from framework.workflows.spawning import spawn, watch_parent
from framework.workflows.start import Start


def launch(make: Callable[[], Start]) -> tuple[Run, float | None]:
    """Trains the run that `make` starts. Returns it with the metric that its best checkpoint was chosen by.

    The data is encoded before the folder is made, so that a mistake in the data leaves no folder behind. `make` is called by one process.
    """
    place = ranks()
    with interruption.watched():
        if place.launcher is not None:
            from framework.workflows.meeting import meet

            if "TORCHELASTIC_RUN_ID" in os.environ:
                watch_parent(os.getppid())
            with meet(place, make, _opened) as start:
                return _train(start)
        with _opened(make()) as start:
            assert start.run is not None
            processes = count_processes(start.config["trainer"], place)
            if processes == 1:
                return _train(start)
            with phase(""):  # rank zero reports
                spawn(start.run.folder, processes)
            return start.run, start.run.objective()


def _opened(start: Start) -> AbstractContextManager[Start]:
    """The start with its data encoded, and in its locked folder inside the block."""
    return start.check_free().prepare().opened()


def _train(start: Start) -> tuple[Run, float | None]:
    from framework.workflows.train import train

    assert start.run is not None
    with interruption.of_run(start.run.folder, start.run.last):
        return start.run, train(start)


def rank(folder: str, parent: str, report: str) -> int:
    """One rank, started by `spawn`, of the run in a folder. Returns the exit code; what the user must know is in the file `report`."""
    prepare_streams()
    watch_parent(int(parent))
    try:
        with unbroken_output(), reported("starting"), interruption.watched():
            run = Run.open(Path(folder))
            join(run.folder)
            with recorded(run) if ranks().rank == 0 else contextlib.nullcontext():
                _train(Start.of_run(run))
    except (UserError, Interrupted) as error:
        if isinstance(error, UserError) or ranks().rank == 0:
            Path(report).write_text(str(error), encoding="utf-8")
        return 2 if isinstance(error, UserError) else int(error.code or 0)
    import torch.distributed

    torch.distributed.destroy_process_group()  # the threads of one that is left may crash as the interpreter ends
    return 0
