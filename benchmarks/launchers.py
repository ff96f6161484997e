"""Training in two processes by every launcher, compared with one process, and ended by signals. Prints a table for docs/measurements.md.

    python benchmarks/launchers.py [LAUNCHER ...] [what=figures,SIGTERM,SIGUSR1,SIGKILL]

srun is simulated: two processes with the variables that it sets. torchrun's own exit code is its own (1 after any signal); what counts is
that of its ranks, which its report names.
"""

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TRAIN = [sys.executable, str(ROOT / "train.py")]
WORDS = ["task=classification", "data.limit=60", "model.dim=16", "model.num_layers=1", "model.num_heads=2", "model.max_length=64"]
WORDS += ["model.dropout=0", "task.dropout=0", "tokenizer=bytes", "trainer.accelerator=cpu", "trainer.precision=64-true"]
WORDS += ["data/batches=rows", "callbacks.progress.style=lines", "logger=both", "logger.wandb.mode=offline"]
FEW, MANY = ["trainer.max_epochs=2"], ["trainer.max_epochs=100000"]
ALONE, BOTH = ["data.batches.rows=16"], ["data.batches.rows=8", "trainer.strategy=ddp"]
DEVICES, NODES = ["trainer.devices=2"], ["trainer.devices=1", "trainer.num_nodes=2"]
LAUNCHERS = ("spawned", "spawned in a SLURM task", "srun", "srun on two nodes", "torchrun", "two torchrun agents")
HANDLED = ["--signals-to-handle", "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1"]  # torchrun leaves SIGUSR1 to its default, death


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def slurm(rank: int, tasks: int, nodes: int, port: int) -> dict[str, str]:
    each = tasks // nodes
    variables = {"NTASKS": tasks, "PROCID": rank, "LOCALID": rank % each, "NODEID": rank // each, "NNODES": nodes, "NTASKS_PER_NODE": each}
    variables |= {"JOB_ID": port, "JOB_NAME": "train", "NODELIST": "localhost", "JOB_NODELIST": "localhost"}
    return {f"SLURM_{name}": str(value) for name, value in variables.items()}


def commands(launcher: str, words: list[str]) -> list[tuple[list[str], dict[str, str]]]:
    """The commands that start the processes, with their environment variables."""
    port = free_port()
    agent = [sys.executable, "-m", "torch.distributed.run", *HANDLED, "--nproc_per_node"]
    match launcher:
        case "one process":
            return [([*TRAIN, *words, *ALONE], {})]
        case "spawned":
            return [([*TRAIN, *words, *BOTH, *DEVICES], {})]
        case "spawned in a SLURM task":
            return [([*TRAIN, *words, *BOTH, *DEVICES], slurm(0, 1, 1, port))]
        case "srun":
            return [([*TRAIN, *words, *BOTH, *DEVICES], slurm(rank, 2, 1, port)) for rank in range(2)]
        case "srun on two nodes":
            return [([*TRAIN, *words, *BOTH, *NODES], slurm(rank, 2, 2, port)) for rank in range(2)]
        case "torchrun":
            return [([*agent, "2", "--standalone", TRAIN[1], *words, *BOTH, *DEVICES], {})]
        case "two torchrun agents":
            meeting = ["--nnodes", "2", "--rdzv_backend", "c10d", "--rdzv_endpoint", f"127.0.0.1:{port}", "--rdzv_id", "job"]
            words = [*agent, "1", *meeting, TRAIN[1], *words, *BOTH, *NODES]
            return [([*words], {}) for _ in range(2)]
    raise SystemExit(f"{launcher}: there is no such launcher; there are: {', '.join(LAUNCHERS)}")


class Launched:
    """Processes of one launch in a folder of their own, and all that they start."""

    def __init__(self, launcher: str, words: list[str], folder: Path):
        self.folder, self.mark = folder, secrets.token_hex(8)
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"output{len(list(folder.glob('output*.txt')))}.txt"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "RANK", "WORLD_SIZE", "WANDB_"))}
        clean |= {"LAUNCHERS_MARK": self.mark, "OMP_NUM_THREADS": "1", "WANDB_SILENT": "true", "PYTHONUNBUFFERED": "1"}
        with open(self.log, "w") as log:
            self.processes = [
                subprocess.Popen(command, env={**clean, **variables}, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
                for command, variables in commands(launcher, words)
            ]

    def wait(self, seconds: float = 300) -> list[int]:
        """The exit codes."""
        try:
            return [process.wait(seconds) for process in self.processes]
        except subprocess.TimeoutExpired:
            raise SystemExit(f"not ended after {seconds} s, see {self.log}:\n{self.text()[-3000:]}") from None
        finally:
            if any(process.poll() is None for process in self.processes):
                self.kill()

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def until(self, pattern: str, seconds: float = 400) -> None:
        """Waits until the output matches."""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.text()):
            if time.monotonic() > deadline or all(process.poll() is not None for process in self.processes):
                self.kill()
                raise SystemExit(f"no {pattern!r} in {self.log}:\n{self.text()[-3000:]}")
            time.sleep(0.1)

    def left(self, seconds: float = 15) -> list[int]:
        """Processes of this launch that still run after some seconds."""
        deadline = time.monotonic() + seconds
        while (found := self._running()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return found

    def _running(self) -> list[int]:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                marked = self.mark.encode() in (entry / "environ").read_bytes()
                if marked and "Z" not in (entry / "stat").read_text().rpartition(")")[2].split()[0]:
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def kill(self) -> None:
        for number in self._running():
            os.kill(number, signal.SIGKILL)

    def runs(self) -> list[Path]:
        return self.runs_of(self.folder)

    @staticmethod
    def runs_of(folder: Path) -> list[Path]:
        """The folders of the runs that were made in a folder."""
        return sorted(path.parent for path in folder.glob("runs/**/config.yaml") if "last" not in path.parts)


def figures(launcher: str, folder: Path) -> tuple[dict[str, float], str]:
    """The metrics of a run of two epochs, and folders and W&B runs that it made."""
    launched = Launched(launcher, [*WORDS, *FEW], folder)
    codes = launched.wait()
    if any(codes):
        raise SystemExit(f"{launcher}: exit codes {codes}, see {launched.log}:\n{launched.text()[-3000:]}")
    runs = launched.runs()
    metrics = json.loads((runs[0] / "metrics.json").read_text())
    ids = {path.name for path in launched.folder.rglob("wandb/offline-run-*")}
    return {name: value for name, value in metrics.items() if "second" not in name}, f"{len(runs)} / {len(ids)}"


def difference(found: dict[str, float], expected: dict[str, float]) -> str:
    """The largest relative difference of a figure."""
    assert found.keys() == expected.keys()
    return f"{max(abs(found[name] - value) / max(abs(value), 1e-12) for name, value in expected.items()):.1g}"


def signalled(launcher: str, name: str, folder: Path) -> str:
    """The outcome of a signal to the launched processes: exit codes, the saved step, the processes that are left."""
    import torch

    launched = Launched(launcher, [*WORDS, *MANY], folder)
    launched.until(r"step \d+/")
    for process in launched.processes:
        process.send_signal(getattr(signal, name))
    codes = launched.wait(120)
    left = launched.left(60)  # of an agent that is gone, ranks still save
    text = launched.text()
    ranks = sorted(set(re.findall(r"exitcode\s*: (-?\d+)", text)))
    (run,) = launched.runs()
    last = run / "checkpoints/last.ckpt"
    step = torch.load(last, weights_only=True)["global_step"] if last.exists() else None
    said = [int(each) for each in re.findall(r"has step (\d+)", text)]
    saved = f"step {step}" + (", said" if said == [step] else f", said {said}")
    launched.kill()
    return f"exit {', '.join(map(str, codes))}{f' (ranks {chr(44).join(ranks)})' if ranks else ''}; {saved}; left {len(left)}"


def main(arguments: list[str]) -> None:
    wanted = next((word.partition("=")[2].split(",") for word in arguments if word.startswith("what=")), None)
    what = wanted or ["figures", "SIGTERM", "SIGUSR1", "SIGKILL"]
    launchers = [word for word in arguments if not word.startswith("what=")] or list(LAUNCHERS)
    with tempfile.TemporaryDirectory(prefix="launchers-") as place:
        folder = Path(place)
        alone = figures("one process", folder / "alone")[0] if "figures" in what else {}
        print(
            "| launcher | " + " | ".join(what).replace("figures", "largest relative difference of a figure; run folders / W&B runs") + " |"
        )
        print("| --- " * (len(what) + 1) + "|", flush=True)
        for launcher in launchers:
            cells = []
            for each in what:
                where = folder / f"{launcher}-{each}".replace(" ", "-")
                if each == "figures":
                    found, made = figures(launcher, where)
                    cells.append(f"{difference(found, alone)}; {made}")
                else:
                    cells.append(signalled(launcher, each, where))
            print(f"| {launcher} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
