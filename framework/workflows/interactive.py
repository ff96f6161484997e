"""Composing, training and asking a model from Python: what `train.py` and `predict` do, as functions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.registry import build
from framework.runs.finding import RUNS
from framework.runs.folder import Run
from framework.workflows.processes import launch
from framework.workflows.start import Start, compose_run

if TYPE_CHECKING:
    from torch import nn

    from framework.data.spec import DataSpec
    from framework.runs.predictor import Predictor


def compose(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The checked, explicit config of command-line overrides. UserError: everything that is wrong with them.

    >>> config = compose(["task=ner", "model.num_layers=4"])
    >>> config["task"]["part"], config["model"]["num_layers"]
    ('task/ner', 4)
    """
    return compose_run(overrides).config


def build_model(config: Mapping[str, Any], spec: "DataSpec | None" = None) -> "nn.Module":
    """The model of a config with newly drawn weights. spec: of the data; None = the vocabulary size that the tokenizer option asks for.

    >>> model = build_model(compose(["task=classification", "model.dim=16"]))
    >>> model.dim, model.encoder.layers[0].attention.query.weight.shape
    (16, torch.Size([16, 16]))
    """
    from framework.runs.build import placeholder_spec

    return build(config["model"], spec=spec or placeholder_spec(config))


def train(run: Sequence[str] | Mapping[str, Any] = ()) -> Run:
    """Trains overrides, or a config of `compose`, in a new folder below `runs/`, and prints as `train.py` does. UserError: as there.

    >>> run = train(["task=classification", "data=files", "data.train=reviews.csv", "debug=fast"])  # doctest: +ELLIPSIS
    classification with encoder_only...
    >>> run.folder.parent.name, run.best.exists()
    ('classification', True)
    """
    start = Start.of_config(run) if isinstance(run, Mapping) else Start.of(run)
    return launch(start)[0]


def open_run(run: Path | str | Run = RUNS / "last") -> Run:
    """A trained run: its config, metrics and files. UserError: the folder is no run.

    >>> run = open_run("runs/last")
    >>> run.config()["task"]["part"]
    'task/classification'
    """
    return run if isinstance(run, Run) else Run.open(Path(run))


def load(run: Path | str | Run = RUNS / "last", overrides: Sequence[str] = ()) -> "Predictor":
    """The best checkpoint of a run, ready to predict. overrides: options that no weight depends on (`task.decoding.max_new_tokens=50`).

    UserError: no run, no checkpoint yet, a checkpoint that is damaged or of another model, an override that the weights depend on.

    >>> predictor = load("runs/last")
    >>> sorted(predictor.predict("a good film")[0])
    ['prediction', 'score', 'scores']
    """
    from framework.pretrained.reference import attach_reference
    from framework.runs.predictor import Predictor
    from framework.runs.resume import changed

    run = open_run(run)
    predictor = Predictor.load(run, changed(run, list(overrides), [], training=False))
    attach_reference(predictor.task, predictor.config)
    return predictor
