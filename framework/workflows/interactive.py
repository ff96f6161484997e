"""Composing, training and asking a model from Python: what `train.py` and `predict` do, as functions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.errors import UserError
from framework.registry import build
from framework.workflows.preflight import composed_run, ready
from framework.workflows.processes import start

if TYPE_CHECKING:
    from torch import nn

    from framework.data.formats import Row
    from framework.data.spec import DataSpec
    from framework.data.tokenization.trainers import Tokenizer
    from framework.runs.checkpoint import Loaded
    from framework.runs.folder import Run
    from framework.tasks.base import Task

RUNS = Path("runs")


def compose(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The checked, explicit config of command-line overrides. UserError: everything that is wrong with them.

    >>> config = compose(["task=ner", "model.num_layers=4"])
    >>> config["task"]["part"], config["model"]["num_layers"]
    ('task/ner', 4)
    """
    return composed_run(list(overrides)).config


def build_model(config: Mapping[str, Any], spec: "DataSpec | None" = None) -> "nn.Module":
    """The model of a config with newly drawn weights. spec: of the data; None = the vocabulary size that the tokenizer option asks for.

    >>> model = build_model(compose(["task=classification", "model.dim=16"]))
    >>> model.dim, model.encoder.layers[0].attention.query.weight.shape
    (16, torch.Size([16, 16]))
    """
    from framework.runs.build import stand_in

    return build(config["model"], spec=spec or stand_in(config))


def train(run: "Sequence[str] | Mapping[str, Any]" = ()) -> "Run":
    """Trains overrides, or a config of `compose`, in a new folder below `runs/`, and prints as `train.py` does. UserError: as there.

    >>> run = train(["task=classification", "data=files", "data.train=reviews.csv", "debug=fast"])  # doctest: +ELLIPSIS
    classification with encoder_only...
    >>> run.folder.parent.name, run.best.exists()
    ('classification', True)
    """
    from framework.config.compose import Composed
    from framework.runs.folder import Run

    composed = ready(Composed(dict(run), [], {}) if isinstance(run, Mapping) else composed_run(list(run)))
    task = composed.config["task"]["part"].partition("/")[2]
    made: list[Run] = []

    def new_run() -> Run:
        made.append(Run.create(RUNS, task, composed.config, composed.overrides, composed.chosen))
        return made[0]

    start(composed.config, new_run)
    return made[0]


def open_run(run: "Path | str | Run" = RUNS / "last") -> "Run":
    """A trained run: its config, metrics and files. UserError: the folder is no run.

    >>> run = open_run("runs/last")
    >>> run.config()["task"]["part"]
    'task/classification'
    """
    from framework.runs.folder import Run

    return run if isinstance(run, Run) else Run.open(Path(run))


def load(run: "Path | str | Run" = RUNS / "last", overrides: Sequence[str] = ()) -> "Predictor":
    """The best checkpoint of a run, ready to predict. overrides: options that no weight depends on (`task.decoding.max_new_tokens=50`).

    UserError: no run, no checkpoint yet, a checkpoint that is damaged or of another model, an override that the weights depend on.

    >>> predictor = load("runs/last")
    >>> sorted(predictor.predict("a good film")[0])
    ['prediction', 'score', 'scores']
    """
    from framework.runs import checkpoint
    from framework.runs.resume import changed

    run = open_run(run)
    return Predictor(checkpoint.load(run.folder, changed(run, list(overrides), [], training=False)))


class Predictor:
    """A trained task with its model, tokenizer and format. `load` makes one.

    >>> predictor = load("runs/last")
    >>> predictor.model is predictor.task.model, predictor.tokenizer.decode(predictor.tokenizer.encode("good"))
    (True, 'good')
    >>> rows = predictor.predict(["a good film", {"text": "a dull one"}])
    >>> [row["prediction"] in predictor.spec.labels for row in rows]
    [True, True]
    """

    def __init__(self, loaded: "Loaded"):
        self.config, self.spec, self.format = loaded.config, loaded.spec, loaded.format
        self.task: Task = loaded.task
        self.tokenizer: Tokenizer = loaded.tokenizer
        self._loaded = loaded

    @property
    def model(self) -> Any:
        return self.task.model

    def predict(self, inputs: "str | Row | Sequence[str | Row]") -> list[dict[str, Any]]:
        """One dict for each text or row, in their order, with `prediction`. UserError: an input that the format refuses.

        A text stands for a row of one column; columns of a row that only training needs may be absent.
        """
        from framework.workflows.inference import answer
        from framework.workflows.train import decoder

        inputs = [inputs] if isinstance(inputs, (str, Mapping)) else inputs
        rows = [self.format.from_text(each) if isinstance(each, str) else dict(each) for each in inputs]
        for number, row in enumerate(rows, 1):
            missing = [column for column in self.format.columns if column not in (*self.format.optional, *row)]
            if missing:
                raise UserError(f"row {number} has no {', '.join(missing)}; it has: {', '.join(row) or 'nothing'}")
        return answer(self._loaded, rows, decoder(self.config, self.tokenizer, self.spec, "predict"))
