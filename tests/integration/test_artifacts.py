"""Models that W&B keeps: `wandb:ENTITY/PROJECT/NAME:ALIAS`, with a server that is made up here."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from framework.cli.train import main
from framework.config.quoting import quoted
from framework.errors import UserError
from framework.pretrained.overrides import pinned
from framework.runs.folder import Run
from framework.tracking.artifacts import artifact_folder, versioned
from framework.utils.cache_folder import cache_folder
from tests.integration.conftest import CLASSIFICATION, train, write_data

NAME = "wandb:me/p/first"
KEPT = ("config.yaml", "run.json", "tokenizer.json", "data_spec.json", "checkpoints/best.ckpt")


class Server:
    """W&B's API with one artifact, whose alias `best` is a version."""

    def __init__(self, files: Path | None, version: str = "v3", error: Exception | None = None):
        self.files, self.version, self.error, self.asked, self.entries = files, version, error, 0, ["config.yaml"]

    def artifact(self, name: str, type: str):
        self.asked += 1
        if self.error is not None:
            raise self.error
        assert name.partition(":")[2] in (self.version, "best") and type == "model"
        return SimpleNamespace(version=self.version, manifest=SimpleNamespace(entries=self.entries), download=self.download)

    def download(self, root: str, skip_cache: bool):
        assert self.files is not None
        shutil.copytree(self.files, root, dirs_exist_ok=True)


@pytest.fixture
def serve(monkeypatch):
    """Puts a server in the place of W&B's."""
    import wandb

    def put(*arguments, **options):
        server = Server(*arguments, **options)
        monkeypatch.setattr(wandb, "Api", lambda: server)
        return server

    return put


def test_a_run_begins_from_an_artifact(tmp_path, monkeypatch, serve):
    write_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    quick = [word for word in CLASSIFICATION if word != "tokenizer=bytes"]
    quick += ["trainer.max_steps=1", "task.baseline=false", "logger=none", "effort=fixed"]
    first = train(*quick, "tokenizer=bytes")
    for name in KEPT:
        (kept := tmp_path / "kept" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(first / name, kept)
    server = serve(tmp_path / "kept")
    second = Run(train(*quick, "model.pretrained=wandb:me/p/begun:best"))
    assert second.config()["model"]["pretrained"] == "wandb:me/p/begun:v3"
    assert "wandb:me/p/begun:v3" in second.log.read_text()
    asked = server.asked
    assert artifact_folder("wandb:me/p/begun:v3").is_dir() and server.asked == asked  # from the cache, without a network


def test_an_alias_is_pinned_to_its_version(serve):
    serve(None, version="v12")
    assert versioned(f"{NAME}:best") == f"{NAME}:v12"
    assert pinned(quoted([f"model.pretrained={NAME}:best", "task=ner"])) == [f"model.pretrained={NAME}:v12", "task=ner"]
    assert pinned(quoted([f"task.teacher={NAME}:best,runs/x"])) == [f"task.teacher={NAME}:v12,runs/x"]


@pytest.mark.parametrize(
    "name", ["me/p/first", "first:best", "me/p/first:", "me/../first:best", "me/p/first:best/../x", "/me/p/first:best", ""]
)
def test_what_is_no_name_of_an_artifact(serve, name):
    server = serve(None)
    with pytest.raises(UserError, match="wandb:ENTITY/PROJECT/NAME:ALIAS"):
        versioned(f"wandb:{name}")
    assert server.asked == 0


def errors():
    from wandb.errors import CommError, UsageError

    return {
        "no such artifact": CommError("artifact 'first:best' not found in 'me/p'\nmore lines"),
        "of another type": ValueError("type data specified but this artifact is of type model"),
        "nobody logged in": UsageError("No API key configured. Use `wandb login` to log in."),
        "no network": requests.ConnectionError("HTTPSConnectionPool(host='api.wandb.ai'): Max retries exceeded"),
    }


@pytest.mark.parametrize("reason", list(errors()))
def test_why_an_artifact_cannot_be_had_is_one_line(serve, capsys, reason, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    error = errors()[reason]
    serve(None, error=error)
    assert main(["task=classification", f"model.pretrained={NAME}:best"]) == 2
    said = capsys.readouterr().err.strip()
    assert f"{NAME}:best" in said and str(error).partition("\n")[0] in said and "\n" not in said
    assert not Path("runs").exists()


def test_a_file_that_would_lie_elsewhere_is_refused(serve, tmp_path):
    server = serve(tmp_path)
    for entry in ("../x", "/etc/x", "a/../../x"):
        server.entries = ["config.yaml", entry]
        with pytest.raises(UserError, match="outside"):
            artifact_folder("wandb:me/p/elsewhere:best")
    assert not (cache_folder() / "wandb/me/p/elsewhere").exists()
