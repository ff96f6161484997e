"""Tracking with Weights & Biases. Only this file and `artifacts` import wandb, when they are used."""

import os
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from framework.errors import UserError
from framework.registry import register
from framework.tracking.artifacts import SCHEME, advice
from framework.tracking.base import Tracker, read_csv
from framework.utils.files import write_text
from framework.utils.markup import Html

if TYPE_CHECKING:
    import wandb

_AXIS = "trainer/global_step"


_TAGGED = ("task", "model", "data", "recipe", "experiment", "debug")  # groups whose chosen options are tags
_FORBIDDEN = re.compile(r"[^a-zA-Z0-9_.-]+")  # in the name of an artifact


@register("tracker", "wandb", context=("sweep",))
class WandbTracker(Tracker):
    """Logs a run to Weights & Biases: config, choices, metrics, tables, files and how it ended. https://docs.wandb.ai

    All its files are in the folder of the run, or in WANDB_DIR. A resumed run keeps its W&B id, also one that a sweep agent gave it
    (WANDB_RUN_ID). Options that are null are those of W&B's variables WANDB_PROJECT, WANDB_ENTITY, ...; without a typed name the run has
    that of WANDB_NAME. What is logged, with its cost: docs/tracking.md.

    project: project of the run; null = WANDB_PROJECT, or plugformer.
    entity: user or team of the project; null = WANDB_ENTITY, or your default.
    group: name that groups runs, such as the seeds of one experiment; null = WANDB_RUN_GROUP, or the name of the sweep that the run is in.
    tags: labels of the run; null = WANDB_TAGS, or the options chosen for task, model, data, recipe, experiment and debug.
    notes: a longer description; null = WANDB_NOTES.
    job_type: kind of the run; null = WANDB_JOB_TYPE, or debug, finetune (it begins from trained weights) or train.
    mode: online, offline (upload later with `wandb sync`) or disabled; null = WANDB_MODE.
    predictions: rows that each validation and the final evaluation add to the tables of predictions; 0 = no tables.
    files: whether report.html, pictures, confusion matrix, metrics.json and the difference of the code from its commit are uploaded.
    checkpoint: whether the best checkpoint is uploaded at the end, as an artifact with the name of the run and the aliases `best` and its
        id. It holds the optimizer's state too, about three times the weights. model.pretrained=wandb:ENTITY/PROJECT/NAME:best begins
        from it.
    alerts: when W&B tells you (by mail or Slack, as you set it there): if a run diverges or fails, at any end, or never.
    """

    name = "wandb"

    rules: ClassVar[dict[str, str]] = {
        "project != ''": "project must not be empty",
        "0 <= predictions <= 10_000": "predictions must be from 0, no tables, to 10,000 rows",
    }

    def __init__(
        self,
        folder: Path,
        name: str,
        config: Mapping[str, Any],
        chosen: Mapping[str, str],
        named: bool,
        sweep: str | None = None,
        project: str | None = None,
        entity: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        notes: str | None = None,
        job_type: str | None = None,
        mode: Literal["online", "offline", "disabled"] | None = None,
        predictions: int = 20,
        files: bool = True,
        checkpoint: bool = False,
        alerts: Literal["none", "failures", "all"] = "failures",
    ):
        super().__init__()
        self.folder = Path(folder).resolve()  # W&B writes in another process, with another current folder
        self.title = name if named else os.environ.get("WANDB_NAME") or name
        self.config = {**config, "choice": dict(chosen)}
        self.table_rows, self.files, self.checkpoint, self.alerts = predictions, files, checkpoint, alerts
        begun = (config.get("model") or {}).get("pretrained")
        kind = "debug" if "debug" in chosen else "finetune" if begun else "train"
        tagged = [chosen[name] for name in _TAGGED if name in chosen]
        self.options = {
            "project": project or os.environ.get("WANDB_PROJECT") or "plugformer",
            "entity": entity,
            "group": group or (None if os.environ.get("WANDB_RUN_GROUP") else sweep),
            "tags": tags if tags is not None or os.environ.get("WANDB_TAGS") else list(dict.fromkeys(tagged)) or None,
            "notes": notes,
            "job_type": job_type or os.environ.get("WANDB_JOB_TYPE") or kind,
            "mode": mode,
        }
        self.begun = begun.removeprefix(SCHEME) if isinstance(begun, str) and begun.startswith(SCHEME) else None
        self._run: wandb.Run | None = None
        self._tables: dict[tuple[str, tuple[str, ...]], wandb.Table] = {}
        self._best: set[str] = set()  # metrics whose best values are in the summary
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
        from wandb.sdk.mailbox.mailbox_handle import ServerResponseError

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
        except ServerResponseError as error:  # of W&B's own process: another one logs to this run
            self._restore_environment()
            said = str(error).partition("\n")[0]
            where = f"{self.folder / 'wandb_id.txt'}, or WANDB_RUN_ID, has its id: a run has one process at a time"
            raise UserError(f"Weights & Biases refuses the run {name}: {said}\n{where}") from error
        except Error as error:
            self._restore_environment()
            raise UserError(advice(error)) from error
        run.define_metric(_AXIS)
        run.define_metric("*", step_metric=_AXIS, step_sync=True)
        if self.begun and not run.settings._offline and not run.disabled:
            run.use_artifact(self.begun)
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
            raise UserError(advice(error)) from error

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
        for name in [name for name in metrics if name.startswith("validation/") and name not in self._best]:
            self.experiment.define_metric(name, step_metric=_AXIS, step_sync=True, summary="min,max,last")
            self._best.add(name)
        self.experiment.log({**metrics, **({} if step is None else {_AXIS: step})})

    @rank_zero_only
    def log_facts(self, facts: Mapping[str, Any]) -> None:
        self.experiment.config.update({"facts": dict(facts)}, allow_val_change=True)

    @rank_zero_only
    def log_table(self, name: str, rows: Sequence[Mapping[str, Any]], step: int) -> None:
        import wandb

        columns = list(dict.fromkeys(column for row in rows for column in row))
        run = self.experiment
        if not columns or run.disabled:
            return
        if (key := (name, tuple(columns))) not in self._tables:
            self._tables[key] = wandb.Table(columns=[*columns], log_mode="INCREMENTAL")
        for row in rows:
            values = [row.get(column) for column in columns]
            self._tables[key].add_data(*(wandb.Html(value, inject=False) if isinstance(value, Html) else value for value in values))
        same = [columns for other, columns in self._tables if other == name]
        number = same.index(key[1]) + 1
        run.log({name if number == 1 else f"{name}_{number}": self._tables[key], _AXIS: step})

    @rank_zero_only
    def log_images(self, images: Mapping[str, Path], step: int) -> None:
        import wandb

        if self.files and images:
            self.experiment.log({**{name: wandb.Image(str(path)) for name, path in images.items()}, _AXIS: step})

    @rank_zero_only
    def log_files(self, files: Sequence[Path]) -> None:
        import wandb

        run = self.experiment
        if not self.files or run.disabled:
            return
        for path in files:
            if path.name == "confusion.csv":
                run.log({"confusion": _confusion(path)})
            elif path.suffix == ".csv":
                header, *rows = read_csv(path)
                run.log({path.stem: wandb.Table(columns=[*header], data=rows)})
            elif path.suffix == ".html":
                run.log({path.stem: wandb.Html(path.read_text(encoding="utf-8"), inject=False)})
            run.save(str(path), base_path=str(path.parent), policy="now")

    @rank_zero_only
    def log_checkpoint(self, files: Mapping[str, Path], aliases: Sequence[str] = ()) -> None:
        import wandb

        run = self.experiment
        if not self.checkpoint or run.disabled:
            return
        name = _FORBIDDEN.sub("_", self.title)[:128]
        artifact = wandb.Artifact(name, type="model", metadata={"run": run.id, "config": dict(self.config)})
        for inner, path in files.items():
            artifact.add_file(str(path), name=inner)
        run.log_artifact(artifact, aliases=["best", run.id, *aliases])

    @rank_zero_only
    def alert(self, outcome: str, text: str) -> None:
        if self._run is not None and self.alerts != "none" and (self.alerts == "all" or outcome != "finished"):
            level = "INFO" if outcome == "finished" else "ERROR"
            self._run.alert(f"{self.title} {outcome}", text, level=level)

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


def _confusion(path: Path) -> Any:
    """The chart of a confusion matrix: a row for each reference label, a column for each predicted one."""
    import wandb

    (_, *labels), *rows = read_csv(path)
    counts = [[reference, label, int(count)] for reference, *line in rows for label, count in zip(labels, line, strict=True)]
    fields = ["Actual", "Predicted", "nPredictions"]
    table = wandb.Table(columns=[*fields], data=counts)
    return wandb.plot_table(
        "wandb/confusion_matrix/v1", table, dict(zip(fields, fields, strict=True)), {"title": "confusion"}, split_table=True
    )
