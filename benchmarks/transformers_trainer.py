"""python benchmarks/transformers_trainer.py FOLDER [translation] [classification] [completion]: examples a CPU-second beside the Trainer of
transformers, on rows of published data (FOLDER as for benchmarks/results.py).

Both train the same shape from random weights on the same token ids, for one pass over the first rows, with fused AdamW, in alternation,
one thread. Ours: length buckets, our Trainer and Learner as a run has them. Theirs: as many rows a batch as ours have on average, padded to
the longest; "defaults": random order, sdpa; "best": grouped by length, the faster of sdpa and eager. Needs accelerate.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))  # run from anywhere

import numpy as np  # noqa: E402 - the number of threads is read at import
import torch  # noqa: E402
import transformers  # noqa: E402

from benchmarks.step import CLIP, HEADS, LR, PRECISIONS, SHAPES, fit, learner  # noqa: E402
from framework import compose, prepare_data  # noqa: E402
from framework.utils.library_warnings import silence_warnings  # noqa: E402

Row = dict[str, list[int] | int]
EXPERIMENTS = {
    "translation": ("multi30k", "translation/multi30k"),
    "classification": ("sst2", "classification/sst2"),
    "completion": ("tinyshakespeare", "completion/tinyshakespeare"),
}


def theirs(name: str, vocabulary: int, dropout: float, attention: str) -> Any:
    """The published family of the same shape."""
    shape = SHAPES[name]
    if name == "translation":
        config: Any = transformers.MarianConfig(
            vocab_size=vocabulary, d_model=256, encoder_layers=3, decoder_layers=3, encoder_attention_heads=HEADS, scale_embedding=True,
            decoder_attention_heads=HEADS, encoder_ffn_dim=1024, decoder_ffn_dim=1024, activation_function="relu", dropout=dropout,
            attention_dropout=dropout, activation_dropout=0.0, pad_token_id=0, decoder_start_token_id=0,
            max_position_embeddings=shape.length, attn_implementation=attention,
        )  # fmt: skip
        return transformers.MarianMTModel(config)
    if name == "classification":
        config = transformers.BertConfig(
            vocab_size=vocabulary, hidden_size=128, num_hidden_layers=2, num_attention_heads=HEADS, intermediate_size=512,
            hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout, attn_implementation=attention,
        )  # fmt: skip
        return transformers.BertForSequenceClassification(config)
    config = transformers.GPT2Config(
        vocab_size=vocabulary, n_embd=128, n_layer=4, n_head=HEADS, n_positions=shape.length, resid_pdrop=dropout, embd_pdrop=dropout,
        attn_pdrop=dropout, attn_implementation=attention,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)


def collate(name: str, rows: list[Row]) -> dict[str, torch.Tensor]:
    """Padded to the longest row, as DataCollatorWithPadding and DataCollatorForSeq2Seq."""

    def padded(key: str, value: int) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence([torch.tensor(row[key]) for row in rows], batch_first=True, padding_value=value)

    batch = {"input_ids": padded("input_ids", 0)}
    batch["attention_mask"] = padded("attention_mask", 0)
    batch["labels"] = torch.tensor([row["labels"] for row in rows]) if name == "classification" else padded("labels", -100)
    return batch


def converted(name: str, features: Any) -> list[Row]:
    """The rows of ours as theirs."""
    rows: list[Row] = []
    for row in features:
        if name == "translation":
            rows.append({"input_ids": list(row["source"]), "labels": list(row["target"])[1:]})
        elif name == "classification":
            rows.append({"input_ids": list(row["ids"]), "labels": int(row["label"])})
        else:
            rows.append({"input_ids": list(row["ids"])[:-1], "labels": list(row["ids"])[:-1]})
        rows[-1]["attention_mask"] = [1] * len(rows[-1]["input_ids"])  # type: ignore[arg-type]
    return rows


def seconds_of_theirs(model: Any, name: str, rows: list[Row], size: int, grouped: bool, precision: str, folder: Path) -> float:
    options = transformers.TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=size, num_train_epochs=1, learning_rate=LR, max_grad_norm=CLIP, use_cpu=True,
        bf16=precision == "bf16", train_sampling_strategy="group_by_length" if grouped else "random", report_to=[], save_strategy="no",
        logging_steps=50, disable_tqdm=True,
    )  # fmt: skip
    trainer = transformers.Trainer(model, options, train_dataset=rows, data_collator=lambda given: collate(name, given))
    begin = time.process_time()
    trainer.train()
    return time.process_time() - begin


def compare(name: str, folder: Path, count: int, precision: str, dropout: float, turns: int, scratch: Path) -> None:
    experiment, inside = EXPERIMENTS[name]
    limit = [f"data.limit={count}"] if name != "completion" else []
    data = prepare_data(compose([f"experiment={experiment}", f"data.folder={folder / inside}", *limit]), None)
    loader, examples = data.loader("train"), data.examples("train", shuffle=False)
    size = max(1, round(len(examples.lengths) / len(loader)))  # rows of a batch
    batches = min(len(loader), max(1, count // size))
    rows = converted(name, examples.batch(np.arange(min(len(examples.lengths), batches * size)), 0))
    found: dict[str, list[float]] = {"ours": [], "sdpa": [], "sdpa, grouped": [], "eager, grouped": []}
    for turn in range(turns):
        for kind, seconds in found.items():
            if kind == "ours":
                module = learner(SHAPES[name].task(dropout, data.spec))
                begin = time.process_time()
                fit(module, loader, scratch / f"{name}{turn}", PRECISIONS[precision][0], batches)
                seconds.append(time.process_time() - begin)
            else:
                model = theirs(name, data.spec.vocab_size, dropout, kind.split(",")[0])
                seconds.append(seconds_of_theirs(model, name, rows, size, "grouped" in kind, precision, scratch / "theirs"))
    ratios = {kind: statistics.median(a / b for a, b in zip(seconds, found["ours"], strict=True)) for kind, seconds in found.items()}
    speed = len(rows) / statistics.median(found["ours"])
    best = min(ratios[kind] for kind in ratios if kind != "ours")
    print(f"| {name} | {precision} | {dropout} | {speed:.0f} | {ratios['sdpa']:.2f} | {best:.2f} | {ratios} |", flush=True)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("shapes", nargs="*", default=list(EXPERIMENTS))
    arguments.add_argument("--precision", choices=list(PRECISIONS), default="float32")
    arguments.add_argument("--dropout", type=float, default=0.1)
    arguments.add_argument("--rows", type=int, default=2000)
    arguments.add_argument("--turns", type=int, default=3)
    chosen = arguments.parse_args()
    torch.set_num_threads(1)
    silence_warnings()
    with tempfile.TemporaryDirectory() as name:
        os.environ["PLUGFORMER_CACHE"] = str(Path(name) / "cache")
        print(
            "| shape | precision | dropout | our examples a CPU-second | ours over defaults | ours over best | all |\n" + "| --- " * 7 + "|"
        )
        for shape in chosen.shapes:
            compare(shape, chosen.folder, chosen.rows, chosen.precision, chosen.dropout, chosen.turns, Path(name))
