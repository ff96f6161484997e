"""CPU-seconds that a tracker costs: interleaved pairs of the same run without and with it. Prints a line for each pair and their mean.

    python benchmarks/tracking.py [logger=wandb] [pairs=3] [WORD ...]

Counted are all processes of a run, also W&B's own, which outlives it: orphans become children of this process (Linux). Nothing is uploaded.
"""

import ctypes
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER


def cpu_seconds(words: list[str]) -> float:
    """CPU-seconds of a run and of all processes that it leaves behind."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "train.py"), *words, f"runs={folder}"]
        environment = {**os.environ, "WANDB_MODE": "offline", "TRACKIO_DIR": f"{folder}/trackio"}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        said = process.stderr.read()
        seconds, code = 0.0, None
        while True:
            try:
                pid, status, usage = os.wait4(-1, 0)
            except ChildProcessError:
                break
            seconds += usage.ru_utime + usage.ru_stime
            code = os.waitstatus_to_exitcode(status) if pid == process.pid else code
        process.returncode = code
        if code:
            raise SystemExit(said)
        return seconds


def main() -> None:
    options = {"logger": "wandb", "pairs": "3"}
    words = []
    for word in sys.argv[1:]:
        key, _, value = word.partition("=")
        if key in options:
            options[key] = value
        else:
            words.append(word)
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    pairs = []
    for number in range(int(options["pairs"])):
        order = ("none", options["logger"]) if number % 2 == 0 else (options["logger"], "none")
        seconds = {logger: cpu_seconds([*words, f"logger={logger}"]) for logger in order}
        without, with_it = seconds["none"], seconds[options["logger"]]
        pairs.append(with_it - without)
        print(
            f"none {without:.1f}, {options['logger']} {with_it:.1f}: {pairs[-1]:+.2f} CPU-seconds, {pairs[-1] / without:+.1%}", flush=True
        )
    print(f"mean {statistics.mean(pairs):+.2f} CPU-seconds")


if __name__ == "__main__":
    main()
