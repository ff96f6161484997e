"""Verdict, message length and CPU-seconds of wrong command lines.

    python benchmarks/mistakes.py tests/integration/mistakes.tsv [FIRST [LAST]]

A list has a line for each command: verdict, name and words, with tabs between them; a space ends a word where the next one has its own
key (`model.dim=8 seed=1`) or is `=`. Verdicts: R = refused (exit code 2, one to six lines
and no traceback, under 2 CPU-seconds, nothing left on disk), A = accepted (exit code 0), ? = either, without a traceback. Each command
trains a tiny classifier on 40 rows in an empty folder, in a process of its own; CPU-seconds are those of the process and its children.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TINY = (
    "task=classification data=files data.train=train.csv data.batches.budget=512 tokenizer=bytes model.dim=16 model.num_layers=1 "
    "model.num_heads=2 model.max_length=32 task.baseline=false trainer.max_epochs=1"
).split()
LIMIT = 90  # seconds of a command


def words_of(text: str) -> list[str]:
    """The words of a line."""
    return text.split() if " = " in text else re.split(r" (?=[+~]*[\w./@-]+=)", text)


def project(folder: Path) -> None:
    """The files that the commands name."""
    rows = [f"{'a good film' if row % 2 else 'a bad film'} number {row},{'good' if row % 2 else 'bad'}" for row in range(40)]
    (folder / "train.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")


def answer(words: list[str]) -> tuple[int | None, list[str], float, list[str]]:
    """Exit code (None: it ran too long), lines on standard error, CPU-seconds, and the files that were left."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project(folder)
        before = {path.relative_to(folder) for path in folder.rglob("*")}
        root = Path(__file__).parents[1]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        with open(folder.parent / f"{folder.name}.err", "w+", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [sys.executable, str(root / "train.py"), *TINY, *words],
                cwd=folder,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
            code, used = wait(process)
            errors.seek(0)
            lines = errors.read().splitlines()
        Path(errors.name).unlink()
        left = sorted(str(path) for path in {path.relative_to(folder) for path in folder.rglob("*")} - before)
        return code, lines, used, left


def wait(process: subprocess.Popen) -> tuple[int | None, float]:
    """Exit code and CPU-seconds of a process that this one started, with those of its children; None if it had to be killed."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage.ru_utime + usage.ru_stime
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    usage = os.wait4(process.pid, 0)[2]
    process.returncode = -signal.SIGKILL
    return None, usage.ru_utime + usage.ru_stime


def faults(verdict: str, code: int | None, lines: list[str], seconds: float, left: list[str]) -> list[str]:
    """Deviations of a command from its verdict, each as a few words."""
    said = [line for line in lines if line.strip()]
    found = ["traceback"] if any("Traceback" in line for line in lines) else []
    if code is None:
        found.append("runs on")
    if verdict == "A" or (verdict == "?" and code == 0):
        return found if code == 0 else [*found, f"exit {code}"]
    found += [] if code == 2 else [f"exit {code}"]
    found += [] if 1 <= len(said) <= 6 else [f"{len(said)} lines"]
    found += [f"left {', '.join(left[:3])}"] if left else []
    return [*found, f"{seconds:.1f} CPU-s"] if verdict == "R" and seconds >= 2 else found


def main() -> None:
    """Prints a line for each command, then a summary."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("list", type=Path)
    arguments.add_argument("first", type=int, nargs="?", default=1)
    arguments.add_argument("last", type=int, nargs="?", default=10**6)
    options = arguments.parse_args()
    rows = [line.split("\t") for line in options.list.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    answer(["seed=x"])  # makes the catalogue, if a source has changed
    wrong = 0
    spent: list[float] = []
    for number, (verdict, name, words, *_) in enumerate(rows, 1):
        if not options.first <= number <= options.last:
            continue
        code, lines, seconds, left = answer(words_of(words))
        found = faults(verdict, code, lines, seconds, left)
        wrong += bool(found)
        spent += [seconds] if code == 2 else []
        said = next((line for line in lines if line.strip()), "")
        figures = f"{number:>4} {verdict} {code!s:>4} {len(lines):>2} lines {seconds:>5.1f} s"
        print(f"{figures}  {'; '.join(found) or 'ok':<24} {name}: {said[:110]}", flush=True)
    counted = sorted(spent)
    print(
        f"{wrong} not as wanted; CPU-seconds of refusals: median {counted[len(counted) // 2]:.2f}, most {counted[-1]:.2f}"
        if counted
        else wrong
    )


if __name__ == "__main__":
    main()
