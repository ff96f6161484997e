"""Published models from a folder or the Hub's cache; without a network the error is immediate. The tests use no network."""

import time

import httpx2
import huggingface_hub
import huggingface_hub.constants
import pytest
from huggingface_hub import errors

from framework.data.tokenization.layouts import LAYOUTS
from framework.data.tokenization.pretrained import PretrainedTokenizer
from framework.data.tokenization.special_tokens import ADDED, CONFIG, MAP
from framework.errors import UserError
from framework.utils import hub
from tests.data.published_toys import wordpiece_folder

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty, separate cache, and no network."""
    folder = tmp_path / "home" / "hub"
    folder.mkdir(parents=True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))  # read from HF_HOME and HF_HUB_CACHE when imported
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return folder


def downloaded(cache, name, files):
    """A model as huggingface_hub keeps it: models--OWNER--NAME/snapshots/COMMIT, with links to blobs; refs/main says which."""
    storage = cache / f"models--{name.replace('/', '--')}"
    snapshot = storage / "snapshots" / COMMIT
    for folder in (snapshot, storage / "blobs", storage / "refs"):
        folder.mkdir(parents=True, exist_ok=True)
    (storage / "refs" / "main").write_text(COMMIT)
    for number, file in enumerate(files):
        blob = storage / "blobs" / f"{number:040x}"
        blob.write_text("{}")
        (snapshot / file).symlink_to(blob)
    return snapshot


@pytest.fixture
def online(monkeypatch):
    """A reachable Hub that answers with `answer`; returns the requests."""
    asked = []

    def snapshot_download(name, **values):
        asked.append(values)
        if values["local_files_only"]:
            return original(name, **values)
        result = answers[0]
        if isinstance(result, Exception):
            raise result
        return str(result)

    original, answers = huggingface_hub.snapshot_download, []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(hub, "reachable", lambda: True)
    return asked, answers


def test_existing_paths_are_unchanged(tmp_path, monkeypatch):
    (tmp_path / "org" / "model").mkdir(parents=True)
    (tmp_path / "org" / "model" / "pytorch_model.bin").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("org", "org/model", "org/model/pytorch_model.bin", str(tmp_path / "org")):
        assert hub.folder_of(name).samefile(tmp_path / name)
    assert hub.folder_of("~/org") == tmp_path / "org"


@pytest.mark.parametrize("name", ["owner/model", "model"])
def test_cached_models_need_no_network(cache, name):
    snapshot = downloaded(cache, name, ["config.json", "model.safetensors", "tokenizer.json"])
    assert hub.folder_of(name) == snapshot


def test_offline_the_error_is_immediate(cache):
    began = time.monotonic()
    with pytest.raises(UserError, match="there is no folder owner/model, no model of that name in the cache of the Hugging") as caught:
        hub.folder_of("owner/model")
    assert time.monotonic() - began < 5
    assert str(cache) in str(caught.value) and "the Hub cannot be reached" in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 6


@pytest.mark.parametrize("name", ["../nowhere", "/nowhere/model", "a/b/c", "owner/mo del", "a--b", "owner/a..b", "a//b", "./model.json"])
def test_names_that_no_model_can_have(name, online):
    with pytest.raises(UserError, match="does not exist: name a folder, a file, or a model on the Hugging Face Hub"):
        hub.folder_of(name)
    assert online[0] == []


def test_single_files_that_others_fetched_are_completed(cache, online, tmp_path, monkeypatch):
    asked, answers = online
    partial = downloaded(cache, "owner/model", ["config.json"])
    answers.append(tmp_path / "whole")
    assert hub.folder_of("owner/model") == tmp_path / "whole"
    assert [values["local_files_only"] for values in asked] == [True, False]
    monkeypatch.setattr(hub, "reachable", lambda: False)
    assert hub.folder_of("owner/model") == partial  # the caller reports missing files


def test_requested_files(cache, online, tmp_path):
    """Safetensors and all tokenizer files, without subfolders; pickled weights by their name alone, and then no others."""
    asked, answers = online
    answers.append(tmp_path)
    hub.folder_of("owner/model")
    everything = set(asked[-1]["allow_patterns"])
    assert everything >= {"config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json", CONFIG, MAP, ADDED}
    assert everything >= {name for names in LAYOUTS for name in names} and "pytorch_model.bin" not in everything
    assert asked[-1]["ignore_patterns"] == ["*/*"]
    with pytest.raises(UserError, match="owner/model has no pytorch_model.bin"):
        hub.folder_of("owner/model/pytorch_model.bin")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    assert hub.folder_of("owner/model/pytorch_model.bin") == tmp_path / "pytorch_model.bin"
    assert set(asked[-1]["allow_patterns"]) == everything - {"*.safetensors", "*.safetensors.index.json"} | {"pytorch_model.bin"}


def test_pickled_weights_from_the_cache(cache):
    snapshot = downloaded(cache, "owner/model", ["config.json", "pytorch_model.bin", "vocab.txt"])
    assert hub.folder_of("owner/model/pytorch_model.bin") == snapshot / "pytorch_model.bin"


def refusal(kind, status):
    """As the library raises them."""
    return kind("first line\nsecond", response=httpx2.Response(status, request=httpx2.Request("GET", "https://huggingface.co")))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (refusal(errors.GatedRepoError, 403), "owner/model is gated: agree to its terms on https://huggingface.co/owner"),
        (refusal(errors.RepositoryNotFoundError, 404), "there is no folder owner/model, and the Hugging Face Hub has no such model"),
        (errors.LocalEntryNotFoundError("first line\nsecond"), "owner/model could not be downloaded .* into .*hub: first line$"),
        (refusal(errors.HfHubHTTPError, 500), "could not be downloaded .*: first line$"),
        (errors.HTTPError("cut off"), "could not be downloaded .*: cut off"),
        (ConnectionResetError("reset"), "could not be downloaded .*: reset"),
    ],
)
def test_the_hub_refuses(error, message, online):
    online[1].append(error)
    with pytest.raises(UserError, match=message) as caught:
        hub.folder_of("owner/model")
    assert len(str(caught.value).splitlines()) == 1


def test_a_tokenizer_by_its_name(cache, tmp_path):
    snapshot = downloaded(cache, "owner/model", ["config.json", "model.safetensors"])
    wordpiece_folder(snapshot)
    assert PretrainedTokenizer("owner/model").train(list).special_ids["mask"] == 4
