"""`python -m framework VERB [RUN] key=value ...`: all commands; training is also `python train.py`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from framework import registry
from framework.config import catalogue as index
from framework.errors import UserError
from framework.training.interruption import Interrupted, interruption
from framework.utils.files import check_current_folder
from framework.utils.phases import reported
from framework.utils.streams import demanded_output, prepare_streams, tell

USAGE = """\
python -m framework VERB ...
  list [KIND]                      the options of every kind, one line each
  describe KIND/NAME               one option: fields with type and default, slots, rules, file and line
  check key=value ...              checks a config and prints a summary: parameters by part, memory; --config-dir DIR as in train;
                                   for several processes, or with tflops=NUMBER bandwidth=NUMBER, what a step will cost
  new KIND NAME                    a working scaffold of any kind, with its test; package=true writes a package for pip
  train key=value ...              the same as python train.py
  sweep SPACE to=wandb key=value ...  a sweep for the agents of W&B, in YAML; SPACE is one of `list sweep`
  evaluate RUN key=value ...       metrics of a run's best checkpoint; data.test=FILE for other data
  predict RUN text="..."           one prediction; file=rows.csv predicts every row (to=FILE.jsonl writes them)
  compare FOLDER_OR_RUNS...        figures over seeds, and which differ by more than noise; by=KEY metric=test/f1 to=FILE.csv|.md
  report FOLDER                    report.html and pictures of a run, or of a sweep or folder of runs; by= metric= to=DIR
  explain RUN text="..."           attention by layer and head, how words move; text2="..." layer=N head=N to=FILE.json|.csv|.html|.png
  export RUN to=... folder=DEST    to=huggingface|safetensors|adapter|onnx|torch, with a model card
RUN is a run folder, or runs/last."""
VERBS = ("list", "describe", "check", "new", "train", "sweep", "evaluate", "predict", "compare", "report", "explain", "export")


def main(argv: Sequence[str]) -> int:
    """Runs a command. Exit code: 0; 2 for a mistake of the user; 130, 143, 99 or 129 for a signal; bugs raise."""
    prepare_streams()
    if argv and argv[0] == "train":
        from framework.cli.train import main as train

        return train(argv[1:])
    try:
        check_current_folder()
        with interruption.watched(), demanded_output(), reported("starting"):
            _run(*(argv or ("--help",)))
    except UserError as error:
        tell(error)
        return 2
    except Interrupted as interrupted:
        tell(f"Stopped by {interrupted.name}")
        return int(interrupted.code or 0)
    return 0


def _run(verb: str, *arguments: str) -> None:
    """Each verb imports what it needs alone."""
    match verb:
        case "-h" | "--help":
            print(USAGE)
        case "list":
            from framework.cli.help import list_text

            if len(arguments) > 1:
                raise UserError(f"list takes one kind at most, not {' '.join(arguments)}")
            print(list_text(index.load(), *arguments))
        case "describe":
            from framework.cli.help import describe_text

            if len(arguments) != 1 or "/" not in arguments[0]:
                raise UserError("describe takes one option: python -m framework describe attention/multi_head")
            print(describe_text(index.load(), *arguments))
        case "check":
            from framework.cli.check import check

            check(arguments)
        case "sweep":
            from framework.cli.wandb_sweep import sweep_yaml

            print(sweep_yaml(arguments), end="")
        case "new":
            from framework.cli.scaffold.new import new

            print(new(arguments))
        case "evaluate":
            from framework.workflows.evaluate import evaluate
            from framework.workflows.memory import memory_errors

            with memory_errors():
                metrics = evaluate(_folder(verb, arguments), arguments[1:])
            width = max(28, *(len(name) + 1 for name in metrics))
            for name, value in metrics.items():
                print(f"{name:<{width}}{value:.6g}" if isinstance(value, float) else f"{name:<{width}}{value}")
        case "predict":
            from framework.workflows.memory import memory_errors
            from framework.workflows.predict import predict

            with memory_errors():
                predict(_folder(verb, arguments), arguments[1:])
        case "compare":
            from framework.comparing.command import compare

            print(compare(arguments))
        case "report":
            from framework.reporting.command import report

            print(report(arguments))
        case "explain":
            from framework.workflows.explain import explain
            from framework.workflows.memory import memory_errors

            with memory_errors():
                print(explain(_folder(verb, arguments), arguments[1:]))
        case "export":
            from framework.export.command import export
            from framework.workflows.memory import memory_errors

            with memory_errors():
                print(export(_folder(verb, arguments), arguments[1:]))
        case _:
            raise UserError(f"{verb}: there is no such verb{registry.nearest(verb, VERBS)}; there are: {', '.join(VERBS)}")


def _folder(verb: str, arguments: Sequence[str]) -> Path:
    if not arguments or ("=" in arguments[0] and not Path(arguments[0]).exists()):
        raise UserError(f"{verb} needs a run folder: python -m framework {verb} runs/last ...")
    return Path(arguments[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
