"""The example in the docstring of every public name, run as it stands."""

import doctest
import inspect
import math
from collections import Counter
from pathlib import Path

import pytest
import torch

import framework
from framework import registry, train
from framework.__main__ import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few labeled texts, reviews.csv, a small run trained on them, runs/last, and its export, published."""
    folder = tmp_path_factory.mktemp("examples")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "reviews.csv").write_text("text,label\n" + "a good film,positive\na dull film,negative\n" * 20)
        small = ["model=bert_tiny", "model.dim=16", "task.pooling=pooler"]
        train(["task=classification", "data=files", "data.train=reviews.csv", *small, "debug=fast"])
        assert main(["export", "runs/last", "to=huggingface", "folder=published"]) == 0
    return folder


def documented(name: str) -> str:
    """The docstring of a public name; names of plain types are documented in the docstring of the package."""
    value = getattr(framework, name)
    return (inspect.getdoc(value) if isinstance(value, type) or inspect.isfunction(value) else framework.__doc__) or ""


@pytest.mark.matrix(0.4, axes=())
@pytest.mark.parametrize("name", dir(framework))
def test_the_example_of_a_name_runs(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    names = {
        "__name__": "examples",
        "torch": torch,
        "math": math,
        "Counter": Counter,
        **{public: getattr(framework, public) for public in dir(framework)},
    }
    example = doctest.DocTestParser().get_doctest(documented(name), names, name, None, None)
    assert example.examples, f"{name} has no example"
    assert example.docstring != framework.__doc__ or f"framework.{name}" in framework.__doc__, f"{name} has no example"
    said: list[str] = []
    kinds = {*registry.registered()}
    try:
        doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS).run(example, out=said.append)
    finally:  # an example may register a part; those of modules that it imported stay, for they are imported once
        registry.forget("examples")
        for kind in {*registry.registered()} - kinds:
            if not registry._classes[kind]:
                del registry._classes[kind]
    assert not said, "".join(said)
