"""Random series of interruptions, each run compared with one that was not interrupted; prints a table.

python benchmarks/interruptions.py [SERIES] [processes=2] [first=0] [seeds=3,7] [kinds=kill -9,Ctrl-C,SIGTERM]
"""

import gc
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]
os.environ["OMP_NUM_THREADS"] = "1"

from tests.training.interruptions import SIGNALS, draw, preload, run  # noqa: E402


def main(words: list[str]) -> int:
    values = dict(word.split("=", 1) for word in words if "=" in word)
    count = next((int(word) for word in words if word.isdigit()), 100)
    processes, first = int(values.get("processes", 1)), int(values.get("first", 0))
    kinds = values.get("kinds", ",".join(SIGNALS)).split(",")
    home = Path(tempfile.mkdtemp(prefix="interruptions"))
    os.chdir(home)
    preload()
    gc.freeze()  # forks copy less
    table: dict[str, Counter[str]] = {}
    begin = time.process_time() + sum(os.times()[2:4])
    seeds = [int(seed) for seed in values["seeds"].split(",")] if "seeds" in values else range(first, first + count)
    for seed in seeds:
        series, folder = draw(seed, kinds, processes), home / str(seed)
        happened, different = run(series, folder, seed)
        name = f"{len(series.interruptions)} interruption{'s' * (len(series.interruptions) > 1)}"
        counts = table.setdefault(name, Counter())
        counts["differs" if different else "equal"] += 1
        counts["weights"] += any(line.startswith(("last: ", "exit", "more")) and line != "last: callbacks" for line in different)
        chosen = " ".join(word for word in series.words if word.startswith(("callbacks", "trainer", "seed")))
        print(f"{seed:4} {'DIFFERS' if different else 'equal'}  {'; '.join(happened)}", flush=True)
        for line in [chosen, *different] if different else ():
            print(f"       {line}", flush=True)
        if not different or "keep" not in words:
            shutil.rmtree(folder, ignore_errors=True)
    columns = ["equal to the bit", "differ", "of these in steps, weights or optimizer, or failed"]
    print(f"\n| {count} series, {processes} process{'es' * (processes > 1)} | {' | '.join(columns)} |\n{'| --- ' * 4}|")
    for name, counts in sorted(table.items()):
        print(f"| {name} | {counts['equal']} | {counts['differs']} | {counts['weights']} |")
    print(f"{time.process_time() + sum(os.times()[2:4]) - begin:.0f} CPU-seconds; {home}")
    return sum(counts["differs"] for counts in table.values())


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
