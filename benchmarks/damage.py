"""Reads all files of tests/data/damage.py and counts those that were read, refused and broken: the last table of docs/results.md.

python benchmarks/damage.py
"""

import contextlib
import io
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from results import FILES, PAGE, RECORD, page  # noqa: E402

from tests.data.damage import cases  # noqa: E402
from tests.data.test_damage import verdict  # noqa: E402

SEEDS = 20


def main() -> int:
    kinds: dict[str, Counter[str]] = {}
    for seed in range(SEEDS):
        for case in cases(seed):
            with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
                found = verdict(case, Path(folder))
            if found not in ("kept", "refused"):
                print(found, file=sys.stderr)
            kinds.setdefault(case.name.partition(":")[0], Counter())[found if found in ("kept", "refused") else "broken"] += 1
    counts = {kind: [each["kept"], each["refused"], each["broken"]] for kind, each in sorted(kinds.items())}
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    record[FILES] = {"command": "python benchmarks/damage.py", "seeds": SEEDS, "kinds": counts}
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(record), encoding="utf-8")
    return sum(each["broken"] for each in kinds.values())


if __name__ == "__main__":
    sys.exit(main())
