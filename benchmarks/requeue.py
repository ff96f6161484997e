"""Runs of two processes in a simulated SLURM: requeued after SIGUSR1 and after kill -9, and swept; compared with undisturbed runs.

    python benchmarks/requeue.py [requeued] [sweeps] [joblib]

A W&B id is that of the offline folders that the attempts left.
"""

import csv
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.launchers import BOTH, DEVICES, WORDS, Launched  # noqa: E402

LONG = [word for word in WORDS if not word.startswith(("model.dropout", "task.dropout", "data.limit"))]
LONG += ["trainer.max_epochs=3", "data.limit=24", "callbacks.checkpoint.every_n_train_steps=1", "trainer.log_every_n_steps=1"]
LONG += ["task.baseline=false"]
LONG += ["name=x", *BOTH, "data.batches.rows=2", *DEVICES]


def attempt(folder: Path, words: list[str], number: int | None = None, pattern: str = r"step \d+/", launcher: str = "srun") -> list[int]:
    """Starts the tasks, and sends them a signal as soon as the output matches. Returns their exit codes."""
    launched = Launched(launcher, words, folder)
    if number is not None:
        launched.until(pattern)
        for process in launched.processes:
            process.send_signal(number)
    codes = launched.wait()
    if left := launched.left(60):
        raise SystemExit(f"left: {left}")
    if number is None and any(codes):
        raise SystemExit(f"exit codes {codes}, see {launched.log}:\n{launched.text()[-3000:]}")
    return codes


def last(run: Path) -> dict[str, Any]:
    import torch

    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)


def equal(one: Path, other: Path) -> bool:
    """Whether the weights of two runs are equal to the bit."""
    import torch

    first, second = last(one)["state_dict"], last(other)["state_dict"]
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def steps(run: Path) -> list[int]:
    """The steps with a training loss in metrics.csv."""
    with open(run / "metrics.csv", newline="") as file:
        return [int(row["step"]) for row in csv.DictReader(file) if row["train/loss"]]


def requeued(place: Path) -> None:
    attempt(place / "whole", LONG)
    (whole,) = Launched.runs_of(place / "whole")
    words, stood = [*LONG, "resume=auto"], []
    outcomes = [f"SIGUSR1: exit {attempt(place / 'cut', words, signal.SIGUSR1)}"]
    (cut,) = Launched.runs_of(place / "cut")
    stood.append(last(cut)["global_step"])
    outcomes.append(f"kill -9: exit {attempt(place / 'cut', words, signal.SIGKILL)}")
    stood.append(last(cut)["global_step"])
    outcomes.append(f"end: exit {attempt(place / 'cut', words)}")
    folders = Launched.runs_of(place / "cut")
    ids = {path.name.rpartition("-")[2] for path in (place / "cut").rglob("offline-run-*")}
    total = last(whole)["global_step"]
    print(f"requeued: {'; '.join(outcomes)}; stood at steps {stood} of {total}")
    print(f"  folders {len(folders)}, W&B ids {len(ids)}, weights {'equal to the bit' if equal(whole, cut) else 'DIFFER'}")
    every = list(range(1, total + 1))
    print(f"  metrics.csv: steps {'1 to ' + str(total) + ', each once' if steps(cut) == every else steps(cut)}")


def sweeps(place: Path) -> None:
    words = ["-m", *LONG, "seed=0,1", "trainer.max_epochs=2"]
    for launcher in ("spawned", "srun"):
        attempt(place / launcher, [word for word in words if word not in (*BOTH, *DEVICES)], launcher=launcher)
        ids = {path.name.rpartition("-")[2] for path in (place / launcher).rglob("offline-run-*")}
        print(f"sweep of two jobs, {launcher}: folders {len(Launched.runs_of(place / launcher))}, W&B ids {len(ids)}")


def joblib(place: Path) -> None:
    words = ["-m", *WORDS, "seed=0,1", "trainer.max_epochs=2", "name=x", "task.baseline=false"]
    figures = []
    for name, more in (("serial", []), ("joblib", ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"])):
        attempt(place / name, [*words, *more], launcher="one process")
        runs = Launched.runs_of(place / name)
        figures.append([json.loads((run / "metrics.json").read_text()) for run in runs])
    same = [[{key: value for key, value in job.items() if "second" not in key} for job in jobs] for jobs in figures]
    print(f"two jobs at once by joblib: figures {'equal' if same[0] == same[1] else 'DIFFER'} ({len(same[0])} jobs)")


def main(wanted: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="requeue-") as folder:
        for name, run in (("requeued", requeued), ("sweeps", sweeps), ("joblib", joblib)):
            if not wanted or name in wanted:
                run(Path(folder) / name)


if __name__ == "__main__":
    main(sys.argv[1:])
