"""Files that the operating system does not let us read, at every place where files are touched."""

import errno
import os
from pathlib import Path

import pytest

from framework.errors import UserError
from tests.data.toy import Labeled, Pairs, files

CONTENT = {
    "a.csv": "text,label\nx,y\n",
    "a.jsonl": '{"text": "x", "label": "y"}\n',
    "a.json": '[{"text": "x", "label": "y"}]',
    "a.conll": "x y\n",
    "a.parquet": "PAR1",
    "d/good/1.txt": "x",
    "d/bad/1.txt": "x",
    "a.en": "x\n",
    "a.de": "x\n",
}


@pytest.fixture
def folder(tmp_path):
    for name, text in CONTENT.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def denied(monkeypatch, method, wanted):
    """The operating system denies a method of Path for some paths; tests run as root, to whom it denies nothing."""
    original = getattr(Path, method)

    def deny(self, *arguments, **options):
        if wanted in str(self):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return original(self, *arguments, **options)

    monkeypatch.setattr(Path, method, deny)


@pytest.mark.parametrize(
    ("name", "method"),
    [*((name, method) for name in ("a.csv", "a.jsonl", "a.json", "a.conll", "d", "a.en") for method in ("open", "stat")), ("d", "iterdir")],
)
def test_permission_denied(folder, monkeypatch, name, method):
    train = [name, "a.de"] if name == "a.en" else name
    source = files(Pairs() if name == "a.en" else Labeled(), folder=str(folder), train=train, validation_share=0)
    denied(monkeypatch, method, str(folder / name))
    with pytest.raises(UserError, match=r"cannot be read: Permission denied|does not exist") as caught:
        source.check()
        list(source.rows("train"))
    assert str(folder) in str(caught.value)


def test_a_parquet_file_that_is_denied(folder, monkeypatch):
    import pyarrow.parquet

    def deny(path, **_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(pyarrow.parquet, "ParquetFile", deny)
    with pytest.raises(UserError, match=r"a.parquet: .*Permission denied"):
        files(folder=str(folder), train="a.parquet").check()


@pytest.mark.parametrize("train", ["a.csv", "*.csv", "link.csv"])
def test_links(folder, train):
    (folder / "link.csv").symlink_to(folder / "gone.csv")
    if train == "a.csv":
        files(folder=str(folder), train=train).check()
        return
    with pytest.raises(UserError, match=rf"link.csv, a link to {folder}/gone.csv, cannot be read: No such file"):
        files(folder=str(folder), train=train).check()


@pytest.mark.parametrize("train", ["pipe.csv", ["a.csv", "pipe.csv"], "d", "/dev/null"])
def test_a_pipe_or_device_is_no_regular_file(folder, train):
    os.mkfifo(folder / "pipe.csv")
    os.mkfifo(folder / "d" / "good" / "2.txt")
    with pytest.raises(UserError, match="is no regular file"):
        files(folder=str(folder), train=train).check()


def test_a_name_that_is_too_long(folder):
    with pytest.raises(UserError, match=r"aaa.csv cannot be read: File name too long"):
        files(folder=str(folder), train="a" * 300 + ".csv").check()
