"""Tracking with Weights & Biases. Only this file imports wandb, when the tracker is used."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from framework.errors import UserError
from framework.registry import register
from framework.tracking.base import Tracker
from framework.utils.files import write_text

if TYPE_CHECKING:
    import wandb

_AXIS = "trainer/global_step"


@register("tracker", "wandb")
class WandbTracker(Tracker):
    """Logs config, chosen options, metrics and exit code of a run to Weights & Biases. https://docs.wandb.ai

    All its files are in the folder of the run. A resumed run keeps its W&B id; the id of a sweep agent takes precedence.

    project: project of the run.
    entity: user or team of the project; null = your default.
    group: name that groups runs, such as the seeds of one experiment.
    tags: labels of the run.
    notes: a longer description.
    job_type: kind of the run, such as train.
    mode: online, offline (upload later with `wandb sync`) or disabled; null = the value of WANDB_MODE.
    """

    name = "wandb"

    rules: ClassVar[dict[str, str]] = {"project != ''": "project must not be empty"}

    def __init__(
        self,
        folder: Path,
        name: str,
        config: Mapping[str, Any],
        chosen: Mapping[str, str],
        project: str = "plugformer",
        entity: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        notes: str | None = None,
        job_type: str | None = "train",
        mode: Literal["online", "offline", "disabled"] | None = None,
    ):
        super().__init__()
        self.folder, self.title = Path(folder).resolve(), name  # W&B writes in another process, with another current folder
        self.config = {**config, "chosen": dict(chosen)}
        self.options = {
            "project": project,
            "entity": entity,
            "group": group,
            "tags": tags,
            "notes": notes,
            "job_type": job_type,
            "mode": mode,
        }
        self._run: wandb.Run | None = None
        self._environment: dict[str, str | None] = {}

    @property
    def save_dir(self) -> str:
        return str(self.folder)

    @property
    @rank_zero_experiment
    def experiment(self) -> "wandb.Run":
        """The W&B run, started at the first access (Lightning accesses it before training)."""
        if self._run is None:
            self._run = self._begin()
        return self._run

    def _begin(self) -> "wandb.Run":
        import wandb
        from wandb.errors import CommError, UsageError

        # Offline runs refer to staged files by path; inside the folder of the run they are copied along with it.
        for kind in ("data", "cache"):
            folder, variable = self.folder / "wandb" / kind, f"WANDB_{kind.upper()}_DIR"
            folder.mkdir(parents=True, exist_ok=True)
            self._environment[variable] = os.environ.get(variable)
            os.environ[variable] = str(folder)
        try:
            run = wandb.init(dir=self.folder, name=self.title, id=self._id(), resume="allow", config=self.config, **self.options)  # type: ignore[arg-type]
        except (UsageError, CommError) as error:
            self._restore_environment()
            raise UserError(f"Weights & Biases: {error}\nRun `wandb login`, or choose logger.wandb.mode=offline.") from error
        run.define_metric(_AXIS)
        run.define_metric("*", step_metric=_AXIS, step_sync=True)
        return run

    def _id(self) -> str:
        """The id given by a sweep agent, or else the run's own, saved in its folder."""
        if "WANDB_RUN_ID" in os.environ:
            return os.environ["WANDB_RUN_ID"]
        path = self.folder / "wandb_id.txt"
        if not path.exists():
            write_text(path, secrets.token_hex(4) + "\n")
        return path.read_text(encoding="utf-8").strip()

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.experiment.log({**metrics, **({} if step is None else {_AXIS: step})})

    @rank_zero_only
    def finish(self, exit_code: int) -> None:
        if self._run is not None:
            self._run.finish(exit_code=exit_code)
            self._run = None
        self._restore_environment()

    def _restore_environment(self) -> None:
        """Resets the environment for the next job of a sweep, which has another folder."""
        for variable, value in self._environment.items():
            os.environ.pop(variable, None)
            if value is not None:
                os.environ[variable] = value
        self._environment = {}
