"""Whether seqeval finds in a run's predictions.jsonl what the run's metrics.json says: `python benchmarks/seqeval_check.py RUN`.

The run is one of the task ner; its rows hold the tags to find and those found, as IOB2. Needs seqeval, a test dependency.
"""

import json
import sys
import warnings
from pathlib import Path

from seqeval.metrics import classification_report


def main(folder: Path) -> int:
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    ours = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    theirs = figures([row["reference_tags"] for row in rows], [row["predicted_tags"] for row in rows])
    print(f"{'figure':<32}{'metrics.json':>20}{'seqeval':>20}")
    for name, value in theirs.items():
        print(f"{name:<32}{ours[name]:>20.16f}{value:>20.16f}")
    worst = max(abs(ours[name] - value) for name, value in theirs.items())
    print(f"{len(rows)} rows, {len(theirs)} figures, largest difference {worst:.1e}")
    return int(worst > 1e-12)


def figures(references: list[list[str]], predictions: list[list[str]]) -> dict[str, float]:
    """seqeval's, by the names that metrics.json has for them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of types that nobody found
        report = classification_report(references, predictions, output_dict=True, zero_division=0)
    averages = {"micro avg", "macro avg", "weighted avg"}
    whole = {"precision": "precision", "recall": "recall", "f1": "f1-score"}
    return {
        **{f"test/{ours}": float(report["micro avg"][theirs]) for ours, theirs in whole.items()},
        "test/f1_macro": float(report["macro avg"]["f1-score"]),
        **{f"test/f1/{type}": float(found["f1-score"]) for type, found in report.items() if type not in averages},
    }


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
