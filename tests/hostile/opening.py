"""Opens a folder in every way that a user may open it. What is wrong with it is a UserError; anything else is a defect."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from framework.data.spec import DataSpec
from framework.data.tokenization.layouts import published_tokenizer
from framework.errors import UserError
from framework.export.command import export
from framework.huggingface.folder import load_model
from framework.pretrained.adapter_file import read_adapter
from framework.pretrained.source import Sources
from framework.pretrained.tokenizer import with_tokenizer
from framework.pretrained.transfer import check_pretrained, transfer_weights
from framework.registry import build
from framework.runs.build import build_task
from framework.runs.folder import Run
from framework.workflows.evaluate import evaluate
from framework.workflows.interactive import load
from framework.workflows.predict import predict
from framework.workflows.start import Start, compose_run

TEXT = "a good film ||| a dull one"


def open_run(folder: Path) -> None:
    """`predict`, and all that is printed of a run."""
    run = Run.open(folder)
    predictor = load(run)
    for what in (
        run.overrides,
        run.chosen,
        run.versions,
        run.results,
        run.objective,
        run.label_counts,
        run.remarks,
        run.sizes,
        run.checksums,
    ):
        what()
    text = TEXT if "second" in predictor.format.columns else "a good film"
    predictor.predict([text])


def predict_from(folder: Path) -> None:
    predict(folder, ["text=a good film"])


def evaluate_run(folder: Path) -> None:
    evaluate(folder, ["data.limit=8"])


def export_run(folder: Path) -> None:
    export(folder, ["to=safetensors", f"folder={folder.parent / (folder.name + '_exported')}"])


def resume_run(folder: Path) -> None:
    """`resume=FOLDER`, up to the first thing that is written."""
    Start.resumed(Run.open(folder))


def start_from(folder: Path) -> None:
    """`model.pretrained=FOLDER`, up to the loaded weights."""
    sources = Sources()
    words = ["task=pretraining" if _is_encoder(folder) else "task=completion", f"model.pretrained='{folder}'"]
    if (folder / "config.yaml").is_file():
        words += ["model=encoder_only", "model.dim=8", "model.num_layers=1", "model.num_heads=2", "model.max_length=64"]
    composed = compose_run(words, (), sources)
    source = sources.open(str(folder))
    config = with_tokenizer(composed.config, composed.overrides, source, ())
    check_pretrained(source, config, composed.overrides)
    tokenizer = build(config["tokenizer"]).train(tuple)
    tokenizer.encode("a good film")
    special = {role: tokenizer.special_ids[role] for role in ("begin", "end", "unknown", "mask")}
    spec = DataSpec(tokenizer.vocab_size, config["model"]["max_length"], **special, special_ids=tuple(range(100)))
    transfer_weights(build_task(config, spec), source, config, spec)


def _is_encoder(folder: Path) -> bool:
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return "config.yaml" in names or any(
        f'"{name}' in _text(folder / "config.json") for name in ("Bert", "Roberta", "Albert", "Distil", "Modern")
    )


def _text(path: Path) -> str:
    return path.read_bytes()[:100_000].decode("utf-8", "replace") if path.is_file() else ""


def open_published(folder: Path) -> None:
    load_model(folder)


def open_tokenizer(folder: Path) -> None:
    tokenizer = published_tokenizer(folder)
    ids = tokenizer.encode("A good film, naïve café.")
    tokenizer.decode(ids)
    tokenizer.byte_lengths(ids)


def open_adapter(folder: Path) -> None:
    read_adapter(folder / "adapter.safetensors")


# kind of folder -> the ways to open it; the first is what a folder that must be refused is judged by
WAYS: dict[str, tuple[Callable[[Path], None], ...]] = {
    "run": (open_run, evaluate_run, export_run, start_from),
    "resumed": (resume_run,),
    "published": (start_from, open_published, open_tokenizer),
    "adapter": (open_adapter,),
    "tokenizer": (open_tokenizer,),
}


def verdict(way: Callable[[Path], None], folder: Path, names: bool = True) -> str:
    """`opened`, `refused`, or what is broken: another exception, a message of more than six lines, or one that does not name the folder."""
    try:
        way(folder)
    except UserError as error:
        lines = str(error).splitlines()
        if len(lines) > 6 or max(map(len, lines), default=0) > 2000:
            return f"a message of {len(lines)} lines, {len(str(error)):,} characters: {str(error)[:300]}"
        return "refused"
    except RecursionError:
        return "a traceback: RecursionError"
    except Exception as error:
        import traceback

        frames: Any = traceback.extract_tb(error.__traceback__)
        last = [frame for frame in frames if "/framework/" in frame.filename or "/plugins/" in frame.filename][-1:]
        place = f"{last[0].filename.rpartition('/')[2]}:{last[0].lineno}" if last else ""
        return f"a traceback: {type(error).__name__}: {str(error)[:120]} at {place}"
    return "opened"
