"""A search as a file for the agents of W&B: `python -m framework sweep SPACE to=wandb key=value ... > sweep.yaml`."""

from collections.abc import Sequence
from typing import Any

from framework.cli.train import parsed
from framework.config.hydra_source import key_of
from framework.config.quoting import quoted
from framework.config.space import Space
from framework.errors import UserError
from framework.runs.build import build_on_meta
from framework.utils.yaml_files import dump
from framework.workflows.start import compose_run

_METHODS = {"tpe": "bayes", "random": "random"}


def sweep_yaml(arguments: Sequence[str]) -> str:
    """The file of a space and of overrides for all its runs. Its command trains with `logger=wandb`, where no other is typed; the figure
    that it searches by is that of the best checkpoint, which a run logs at its end.
    https://docs.wandb.ai/models/sweeps/define-sweep-configuration

    UserError: there is no such space, or its first point is wrong.
    """
    if not arguments or "=" in arguments[0]:
        raise UserError("sweep needs a space: python -m framework sweep training to=wandb task=... > sweep.yaml; `list sweep` shows all")
    _, words, folders = parsed(arguments[1:])
    if "to=wandb" not in words:
        raise UserError("sweep writes for the agents of W&B: add to=wandb; python train.py -m sweep=SPACE searches here")
    words = quoted(word for word in words if word != "to=wandb")
    space = Space.of([f"sweep={arguments[0]}", *words], folders)
    composed = compose_run(space.words(space.points()[0]), folders)
    task = build_on_meta(composed.config)
    logger = [] if any(key_of(word) == "logger" for word in space.fixed) else ["logger=wandb"]
    there = [f"--config-dir={folder}" for folder in folders]
    content: dict[str, Any] = {
        "program": "train.py",  # the agent wants one, though the command names none
        "method": _METHODS[space.sampler],
        "metric": {"name": f"final/{task.monitor}", "goal": f"{task.mode}imize"},
        "run_cap": space.trials,
        "parameters": {key: axis.wandb() for key, axis in space.axes.items()},
        "command": ["${env}", "${interpreter}", "-m", "framework", "train", *there, *space.fixed, *logger, "${args_no_hyphens}"],
    }
    return dump(content)
