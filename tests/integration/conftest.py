"""A project folder with small data, and training through the command line."""

import random
import shutil
from pathlib import Path

import pytest

from framework.cli.train import main as train_main

MODEL = ["model.dim=16", "model.num_layers=1", "model.num_heads=2", "model.max_length=32", "tokenizer=bytes"]
FILES = ["data=files", "data.train=train.csv", "data.validation=dev.csv", "data.test=test.csv"]
CLASSIFICATION = ["task=classification", *FILES, *MODEL, "data.batches.budget=512", "trainer.max_epochs=2", "callbacks.progress.style=off"]
CLASSIFICATION += ["effort=fixed"]  # what a task chooses from the rows (tests/config/test_settings.py) is composed twice more
PAIRS = ["train.en", "train.de"], ["dev.en", "dev.de"]
TRANSLATION = ["task=translation", "data=files", "data.train=[train.en,train.de]", "data.validation=[dev.en,dev.de]", *MODEL]
TRANSLATION += ["trainer.max_epochs=2", "callbacks.progress.style=off", "task.decoding.max_new_tokens=8", "effort=fixed"]

MOODS = {"good": "fine great lovely superb warm", "bad": "dull awful bleak cold grim"}
LEXICON = {"the": "das", "old": "alte", "new": "neue", "house": "Haus", "child": "Kind", "book": "Buch", "sees": "sieht", "and": "und"}


def write_data(folder: Path) -> None:
    """reviews with labels in train.csv, dev.csv and test.csv; pairs of unequal length in train and dev .en and .de."""
    draw = random.Random(0)
    for name, count in (("train", 70), ("dev", 20), ("test", 21)):
        rows = [(draw.choice(list(MOODS)), draw.randint(1, 4)) for _ in range(count)]
        lines = [f"{' '.join(draw.choices(MOODS[label].split(), k=words))},{label}" for label, words in rows]
        (folder / f"{name}.csv").write_text("\n".join(["text,label", *lines, ""]))
    for name, count in (("train", 150), ("dev", 21)):
        sources = [draw.choices(list(LEXICON), k=draw.randint(1, 5)) for _ in range(count)]
        (folder / f"{name}.en").write_text("".join(f"{' '.join(words)}\n" for words in sources))
        (folder / f"{name}.de").write_text("".join(f"{' '.join(LEXICON[word] for word in words)}\n" for words in sources))


def write_text(folder: Path) -> None:
    """text.txt: the reviews of train.csv without their labels, twenty times."""
    text = " ".join(line.partition(",")[0] for line in (folder / "train.csv").read_text().splitlines()[1:])
    (folder / "text.txt").write_text("\n".join([text] * 20) + "\n")


def copied(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a folder with runs, as the current folder."""
    shutil.copytree(folder, tmp_path / "here", symlinks=True)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def newest() -> Path:
    """The newest run, relative to the current folder."""
    return Path("runs/last").resolve().relative_to(Path.cwd())


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The message of `python train.py WORDS`, which must fail."""
    assert train_main(list(words)) == 2
    return capsys.readouterr().err


def train(*words: str) -> Path:
    """Runs `python train.py WORDS`, which must succeed. Returns the folder of the newest run."""
    assert train_main(list(words)) == 0
    return Path("runs/last").resolve()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The current folder, with data and nothing else."""
    write_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path
