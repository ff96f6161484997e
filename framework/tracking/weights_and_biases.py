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

    All its files are in the folder of the run, or in WANDB_DIR. A resumed run keeps its W&B id, also one that a sweep agent gave it
    (WANDB_RUN_ID). Options that are null are those of W&B's variables WANDB_PROJECT, WANDB_ENTITY, ...; without a typed name the run has
    that of WANDB_NAME.

    project: project of the run; null = WANDB_PROJECT, or plugformer.
    entity: user or team of the project; null = WANDB_ENTITY, or your default.
    group: name that groups runs, such as the seeds of one experiment; null = WANDB_RUN_GROUP.
    tags: labels of the run; null = WANDB_TAGS.
    notes: a longer description; null = WANDB_NOTES.
    job_type: kind of the run; null = WANDB_JOB_TYPE, or train.
    mode: online, offline (upload later with `wandb sync`) or disabled; null = WANDB_MODE.
    """

    name = "wandb"

    rules: ClassVar[dict[str, str]] = {"project != ''": "project must not be empty"}

    def __init__(
        self,
        folder: Path,
        name: str,
        config: Mapping[str, Any],
        chosen: Mapping[str, str],
        named: bool,
        project: str | None = None,
        entity: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        notes: str | None = None,
        job_type: str | None = None,
        mode: Literal["online", "offline", "disabled"] | None = None,
    ):
        super().__init__()
        self.folder = Path(folder).resolve()  # W&B writes in another process, with another current folder
        self.title = name if named else os.environ.get("WANDB_NAME") or name
        self.config = {**config, "chosen": dict(chosen)}
        self.options = {
            "project": project or os.environ.get("WANDB_PROJECT") or "plugformer",
            "entity": entity,
            "group": group,
            "tags": tags,
            "notes": notes,
            "job_type": job_type or os.environ.get("WANDB_JOB_TYPE") or "train",
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
        from wandb.errors import Error

        # Offline runs refer to staged files by path; inside the folder of the run they are copied along with it.
        place = Path(os.environ.get("WANDB_DIR") or self.folder)
        place.mkdir(parents=True, exist_ok=True)
        for kind in ("data", "cache"):
            if (variable := f"WANDB_{kind.upper()}_DIR") not in os.environ:
                (folder := place / "wandb" / kind).mkdir(parents=True, exist_ok=True)
                self._set(variable, str(folder))
        name, sweep = self._id()
        if sweep and "WANDB_SWEEP_ID" not in os.environ:
            self._set("WANDB_SWEEP_ID", sweep)
        try:
            run = wandb.init(dir=place, name=self.title, id=name, resume="allow", config=self.config, **self.options)  # type: ignore[arg-type]
        except Error as error:
            self._restore_environment()
            raise UserError(_advice(error)) from error
        run.define_metric(_AXIS)
        run.define_metric("*", step_metric=_AXIS, step_sync=True)
        return run

    @rank_zero_only
    def check(self) -> None:
        """UserError: wandb is not installed, or nobody is logged in and nobody can be asked."""
        try:
            import wandb
            from wandb.errors import Error
        except ImportError:
            raise UserError("logger=wandb needs the package wandb: python -m pip install wandb") from None
        if (self.options["mode"] or os.environ.get("WANDB_MODE") or "online") != "online":
            return
        try:
            wandb.login(verify=False)
        except Error as error:
            raise UserError(_advice(error)) from error

    def _id(self) -> tuple[str, str]:
        """The ids of the run and of its sweep (empty: none): those of a sweep agent, or those in the folder, where they are kept."""
        path = self.folder / "wandb_id.txt"
        kept = path.read_text(encoding="utf-8").split() if path.exists() else []
        name = os.environ.get("WANDB_RUN_ID") or (kept[0] if kept else secrets.token_hex(4))
        sweep = os.environ.get("WANDB_SWEEP_ID") or (kept[1] if len(kept) > 1 and kept[0] == name else "")
        if kept != (ids := [name, *filter(None, [sweep])]):
            write_text(path, "\n".join(ids) + "\n")
        return name, sweep

    def _set(self, variable: str, value: str) -> None:
        self._environment[variable] = os.environ.get(variable)
        os.environ[variable] = value

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.experiment.log({**metrics, **({} if step is None else {_AXIS: step})})

    @rank_zero_only
    def log_text(self, text: str) -> None:
        if self._run is not None and text:
            self._run.write_logs(text)

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


def _advice(error: Exception) -> str:
    said = str(error).partition("\n")[0]
    return f"Weights & Biases: {said}\nRun `wandb login`, or choose logger.wandb.mode=offline (WANDB_MODE=offline)."
