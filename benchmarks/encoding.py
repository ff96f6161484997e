"""Time and memory of encoding pairs of sentences: `python benchmarks/encoding.py [ROWS ...]` (default 10,000 100,000 1,000,000), Linux.

Pairs of 20 made-up words, in a file with a tab between them, encoded by a WordPiece tokenizer of 8,000 tokens. Each number of rows is
encoded in a process of its own, with as many processes as there are cores, and with one up to 100,000 rows. Seconds and CPU-seconds are of
all processes, without training the tokenizer; the memory is the peak resident one of the process that writes, and of the largest other.
"""

import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run from anywhere
PAIRS, WORDS = [10_000, 100_000, 1_000_000], 20


def write_pairs(path: Path, rows: int) -> None:
    made = random.Random(0)
    words = ["".join(made.choices("aeioulmnrst", k=made.randint(2, 9))) for _ in range(20_000)]
    with path.open("w", encoding="utf-8") as file:
        for _ in range(rows):
            file.write(" ".join(made.choices(words, k=WORDS)) + "\t" + " ".join(made.choices(words, k=WORDS)) + "\n")


def encode_pairs(path: Path, processes: int) -> None:
    from framework.data import encoding
    from framework.data.spec import DataSpec
    from framework.data.tokenization.trainers import WordpieceTokenizer
    from framework.registry import build

    form = build({"part": "format/translation"})
    node = {"part": "data/files", "train": str(path), "kind": "tsv", "columns": {"source": 0, "target": 1}, "validation_share": 0.0}
    source = build({**node, "batches": {"part": "batches/buckets"}}, format=form, seed=0)
    with path.open(encoding="utf-8") as file:
        texts = [text for _, line in zip(range(2000), file, strict=False) for text in line.rstrip("\n").split("\t")]
    tokenizer = WordpieceTokenizer(vocab_size=8000).train(lambda: iter(texts))
    encoding.processes_to_use = lambda: processes
    begin, cpu = time.perf_counter(), cpu_seconds()
    data = encoding.encode(source, "train", form, tokenizer, DataSpec(tokenizer.vocab_size, 128, begin=1, end=2, unknown=3))
    seconds, used = time.perf_counter() - begin, cpu_seconds() - cpu
    memory = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(
        f"| {len(data):,} | {processes} | {seconds:.1f} | {used:.1f} | {used / len(data) * 1e6:.0f} | {memory[0]:.0f} | {memory[1]:.0f} | "
        f"{data.fingerprint[:8]} |",
        flush=True,
    )


def cpu_seconds() -> float:
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def main(sizes: list[int]) -> None:
    cores = len(os.sched_getaffinity(0))
    print(f"| pairs | processes | s | CPU-s | us a pair | MiB | MiB of the others | files |\n{'| --- ' * 8}|", flush=True)
    for rows in sizes:
        for processes in sorted({1, cores} if rows <= 100_000 else {cores}):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "pairs.tsv"
                write_pairs(path, rows)
                environment = {**os.environ, "PLUGFORMER_CACHE": folder, "PYTHONPATH": str(ROOT)}
                subprocess.run([sys.executable, __file__, "--encode", str(path), str(processes)], env=environment, check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--encode"]:
        encode_pairs(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main([int(each.replace(",", "")) for each in sys.argv[1:]] or PAIRS)
