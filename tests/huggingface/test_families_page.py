"""docs/families.md is what the presets and the families' tables say today."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from framework.config import catalogue
from framework.config.compose import compose
from tests.huggingface.test_presets import NAMED, PUBLISHED

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("families_page", ROOT / "benchmarks" / "families.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(maker: ModuleType) -> None:
    assert (ROOT / "docs" / "families.md").read_text(encoding="utf-8") == maker.page(), "make families"


def test_every_family_and_every_preset_is_on_it(maker: ModuleType) -> None:
    families = {family for columns in maker.KINDS.values() for family, _ in columns.values()}
    assert families == set(catalogue.load().options["family"])
    assert set(maker.VOCABULARIES) == set(PUBLISHED)
    page = (ROOT / "docs" / "families.md").read_text(encoding="utf-8")
    for preset, parameters in NAMED.items():
        assert re.search(rf"^\| `{preset}` .* {parameters:,} \|$", page, re.MULTILINE), preset


def test_it_can_be_read_as_it_is() -> None:
    lines = (ROOT / "docs" / "families.md").read_text(encoding="utf-8").splitlines()
    assert max(map(len, lines)) <= 140


def test_what_it_says_to_type_composes(maker: ModuleType) -> None:
    for words in {f"{maker.TASKS['text-classification']}{words}" for words in maker.OVERRIDES.values() if "pooling" in words}:
        model = "gpt2" if "last" in words else "bert_base"
        assert compose([*words.split(), f"model={model}"]).config["task"]["part"] == "task/classification"
    compose([*f"task=ner{maker.OVERRIDES['first piece, softmax']}".split(), "model=roberta_base"])
    compose(["model=gpt2", "model/position=rotary"])
    compose(["task=translation", "model=t5_base", "model/feed_forward=gated"])
