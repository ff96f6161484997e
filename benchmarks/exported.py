"""What transformers makes of an exported run, beside what `predict` says of the run: `python benchmarks/exported.py RUN ...`.

Takes the first 100 inputs of the run's predictions.jsonl. transformers has no pipeline for text to text any more (version 5): there it is
`generate` of its Auto class.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
ROWS = 100
Read = Callable[[Path, list[str]], list[Any]]


def main(runs: list[str]) -> int:
    from framework.export.command import export
    from framework.runs.predictor import Predictor
    from framework.utils.library_warnings import silence_warnings

    silence_warnings()
    for name in runs:
        loaded = Predictor.load(name)
        with open(Path(name) / "predictions.jsonl", encoding="utf-8") as file:
            texts = [row["input"] for row in islice((row for row in map(json.loads, file) if "input" in row), ROWS)]
        ours = loaded.predict(texts)
        with tempfile.TemporaryDirectory() as folder:
            export(Path(name), ["to=huggingface", f"folder={folder}/out"])
            theirs = READ[loaded.task.hf_task](Path(folder) / "out", texts)
        same = sum(plain(row["prediction"]) == other for row, other in zip(ours, theirs, strict=True))
        print(f"{loaded.config['name']:<40} {loaded.task.hf_task:<16} {same} of {len(texts)} predictions equal")
    return 0


def plain(prediction: Any) -> Any:
    """Of spans what both tell."""
    return [(span["start"], span["end"], span["type"]) for span in prediction] if isinstance(prediction, list) else prediction


def labels(folder: Path, texts: list[str]) -> list[Any]:
    from transformers import pipeline

    return [found["label"] for found in pipeline("text-classification", model=str(folder))(texts)]


def spans(folder: Path, texts: list[str]) -> list[Any]:
    from transformers import pipeline

    found = pipeline("token-classification", model=str(folder), aggregation_strategy="first")(texts)
    return [[(span["start"], span["end"], span["entity_group"]) for span in row] for row in found]


def continued(folder: Path, texts: list[str]) -> list[Any]:
    from transformers import pipeline

    write = pipeline("text-generation", model=str(folder))
    return [write(text, return_full_text=False)[0]["generated_text"] for text in texts]


def rewritten(folder: Path, texts: list[str]) -> list[Any]:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    model, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    read = tokenizer(texts, return_tensors="pt", padding=True, return_token_type_ids=False)
    return tokenizer.batch_decode(model.generate(**read), skip_special_tokens=True)


READ: dict[str, Read] = {
    "text-classification": labels,
    "token-classification": spans,
    "text-generation": continued,
    "text2text-generation": rewritten,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
