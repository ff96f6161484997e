"""Opens all folders of tests/hostile/folders.py, each in a process of its own under an audit hook and limits: a table of docs/results.md.

python benchmarks/hostile_folders.py [WORD ...]    only the cases whose names have one of the words; writes nothing then
"""

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from results import PAGE, RECORD, STRANGERS, page  # noqa: E402

from tests.hostile import good  # noqa: E402
from tests.hostile.folders import CASES  # noqa: E402
from tests.hostile.watch import judged, run_case  # noqa: E402


def main(words: list[str]) -> int:
    cases = [case for case in CASES if not words or any(word in case.name for word in words)]
    kinds: dict[str, dict[str, float]] = {}
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["PLUGFORMER_CACHE"] = str(root / "cache")
        folders = good.folders(root / "good")
        for number, case in enumerate(cases):
            place = root / str(number)
            (place / "own").mkdir(parents=True)
            found = run_case(case, folders, place, root / "cache")
            wrong = judged(case, found)
            broken += bool(wrong)
            ended = ", ".join(f"{way} {verdict}" for way, verdict in found["verdicts"].items())
            print(
                f"{'broken' if wrong else 'as it must':<11}{found['cpu']:6.1f} s {found['memory'] >> 20:6,} MB  {case.name}: {ended}",
                flush=True,
            )
            for line in wrong:
                print(f"           {line}", flush=True)
            kind = kinds.setdefault(case.name.partition(":")[0], {"folders": 0, "refused": 0, "broken": 0, "cpu": 0.0, "memory": 0})
            kind["folders"] += 1
            kind["refused"] += not case.opens
            kind["broken"] += bool(wrong)
            kind["cpu"], kind["memory"] = max(kind["cpu"], round(found["cpu"], 1)), max(kind["memory"], found["memory"] >> 20)
    print(f"{len(cases)} folders, {broken} broken")
    if not words:
        record = json.loads(RECORD.read_text(encoding="utf-8"))
        record[STRANGERS] = {"command": "python benchmarks/hostile_folders.py", "kinds": kinds}
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(page(record), encoding="utf-8")
    return broken


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
