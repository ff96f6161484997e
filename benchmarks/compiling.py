"""Graph breaks and recompilations of torch.compile: `python benchmarks/compiling.py`. For each task the breaks in the forward pass of
training batches, and how often a second epoch on length buckets compiles again.

The graphs are traced and run as they are (backend eager): what is counted does not depend on the compiler behind them.
"""

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # run from anywhere

import torch  # noqa: E402
import torch._dynamo  # noqa: E402
from torch._dynamo.utils import counters  # noqa: E402

from framework.data.batches import BucketsBatches  # noqa: E402
from framework.data.loader import BatchDataset  # noqa: E402
from framework.registry import Part  # noqa: E402
from framework.testing.toy_task import ToyTask  # noqa: E402

WORDS = ["good", "film", "a", "dull", "day", "the", "second", "one", "longer", "than"]
TEXTS = [" ".join(WORDS[(number * 7 + place * 3) % 10] for place in range(1 + number % 23)) for number in range(120)]
ROWS = {
    "classification": [{"text": text, "label": text[:1]} for text in TEXTS],
    "ner": [{"tokens": text.split(), "tags": ["B-a", *["O"] * text.count(" ")]} for text in TEXTS],
    "summarization": [{"document": text, "summary": text[: 1 + len(text) // 3]} for text in TEXTS],
    "translation": [{"source": text, "target": text[::-1]} for text in TEXTS],
    "completion": [{"text": text} for text in TEXTS],
    "pretraining": [{"text": text} for text in TEXTS],
}


def main() -> None:
    for name, rows in ROWS.items():
        toy = ToyTask(Part(f"task/{name}"), rows)
        task, examples = toy.task().train(), toy.prepared.examples("train", shuffle=False)
        unread = type(task).read_in_evaluation
        dataset = BatchDataset(examples, toy.format, toy.spec, 0, raw=False, unread=unread)
        torch._dynamo.reset()
        counters.clear()
        task.compile(backend="eager")
        compiled = []
        for epoch in (0, 1):
            for number, batch in enumerate(BucketsBatches(budget=1024).plan_batches(examples.lengths, 0, epoch, 1, True)):
                result = task(dataset[(epoch, number, batch.tolist(), False)])
                (result.loss / result.weight).backward()
            compiled.append(counters["stats"]["unique_graphs"])
        breaks = dict(counters["graph_break"])
        graphs = f"{compiled[0]} graphs in the first epoch, {compiled[1] - compiled[0]} more in the second"
        print(f"{name:<15} {sum(breaks.values())} breaks, {graphs}")
        for reason, count in breaks.items():
            print(f"    {count}: {' '.join(reason.split())[:160]}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("PLUGFORMER_CACHE", folder)
        main()
