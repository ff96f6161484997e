"""The catalogue: entries of parts, when it is made again, and packages from outside."""

import importlib.metadata
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from framework import registry
from framework.config import catalogue, discovery, inventory
from framework.config.compose import compose
from framework.config.diff import differences
from framework.errors import UserError
from framework.registry import Part, choice
from framework.runs.folder import Run
from framework.runs.resume import changed
from framework.utils.cache_folder import cache_folder

ATTENTION = '''"""A guest."""

from framework.parts.attention.multi_head import MultiHeadAttention
from framework.registry import register


@register("attention")
class {name}Attention(MultiHeadAttention):
    """{doc}"""
'''


@pytest.fixture
def own_catalogue(tmp_path, monkeypatch):
    """A cache folder of the test's own; afterwards the registry and the catalogue are what they were."""
    inventory.take_inventory(discovery.origins())  # a module that is imported in between registers only once
    known = {kind: dict(names) for kind, names in registry._classes.items()}
    monkeypatch.setenv("PLUGFORMER_CACHE", str(tmp_path / "cache"))
    catalogue.load.cache_clear()
    yield
    monkeypatch.undo()
    catalogue.load.cache_clear()
    registry._classes.clear()
    registry._classes.update(known)
    catalogue.load()


@dataclass
class Distribution:
    name: str = "somebodys-package"
    version: str = "1.2"


@dataclass
class EntryPoint:
    """What importlib.metadata finds of an installed package."""

    name: str
    value: str
    dist: Distribution


class Guest:
    """A package from outside, and what a new process would find of it."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "conf" / "attention").mkdir(parents=True)
        (folder / "__init__.py").write_text("")
        self.write("echo", "Echo", "Says it twice.")

    def write(self, module: str, name: str, doc: str) -> None:
        (self.folder / f"{module}.py").write_text(ATTENTION.format(name=name, doc=doc))

    def preset(self, name: str, text: str = "# Few heads\ndefaults: [echo, _self_]\nnum_kv_heads: 1\n", group: str = "attention") -> None:
        (self.folder / "conf" / group).mkdir(exist_ok=True)
        (self.folder / "conf" / group / f"{name}.yaml").write_text(text)

    def load(self) -> catalogue.Catalogue:
        for module in [name for name in sys.modules if name.partition(".")[0] == "guest_of_tests"]:
            del sys.modules[module]
        registry._classes.get("attention", {}).pop("echo", None)
        catalogue.load.cache_clear()
        return catalogue.load()


@pytest.fixture
def guest(tmp_path, monkeypatch, own_catalogue):
    entries = [EntryPoint("guest", "guest_of_tests", Distribution())]
    found = importlib.metadata.entry_points
    monkeypatch.setattr(
        discovery.importlib.metadata,
        "entry_points",
        lambda **wanted: entries if wanted == {"group": "plugformer.plugins"} else found(**wanted),
    )
    monkeypatch.syspath_prepend(tmp_path)
    return Guest(tmp_path / "guest_of_tests")


def test_a_package_from_outside_brings_parts_and_presets(guest):
    guest.preset("echo_few")
    known = guest.load()
    option = known.option("attention/echo")
    assert (option["doc"], option["distribution"]) == ("Says it twice.", "somebodys-package 1.2")
    assert option["file"] == str(guest.folder / "echo.py")
    assert known.presets["attention"]["echo_few"]["doc"] == "Few heads"
    assert {"echo", "echo_few"} <= set(known.names("attention"))
    config = compose(["model/decoder/attention=echo_few"]).config
    assert (config["model"]["decoder"]["attention"]["part"], config["model"]["decoder"]["attention"]["num_kv_heads"]) == (
        "attention/echo",
        1,
    )
    assert registry.get("attention/echo").__module__ == "guest_of_tests.echo"


def test_a_package_from_outside_writes_the_same_grammar(guest):
    guest.preset("echo_few", "# Few heads\nis: echo\nnum_kv_heads: 1\n")
    guest.preset("echoing", "# Echoes\nis: gpt2\nattention: {is: echo_few, scale: 0.5}\n", group="model")
    guest.preset("loud", "# Louder\nmodel: {is: echoing, num_layers: 2}\n", group="experiment")
    (guest.folder / "conf" / "recipe" / "completion").mkdir(parents=True)
    guest.preset("calm", "# Calmer\nis: scratch\noptimizer: {is: sgd, lr: 0.5}\n", group="recipe/completion")
    assert guest.load().base("attention", "echo_few") == "echo" and guest.load().base("model", "echoing") == "decoder_only"
    composed = compose(["experiment=loud", "recipe=calm"])
    attention = composed.config["model"]["decoder"]["attention"]
    assert (attention["part"], attention["num_kv_heads"], attention["scale"]) == ("attention/echo", 1, 0.5)
    assert (composed.chosen["model"], composed.chosen["model/attention"], composed.chosen["recipe"]) == ("echoing", "echo_few", "calm")
    assert (composed.config["optimizer"]["part"], composed.config["optimizer"]["lr"]) == ("optimizer/sgd", 0.5)
    assert composed.config["tokenizer"]["vocab_size"] == 2000  # of the recipe that it starts from


def later(path: Path) -> None:
    """A change within the clock's grain is a change all the same."""
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))


def test_a_changed_new_or_missing_file_is_noticed(guest):
    guest.preset("echo_few")
    guest.load()
    guest.write("echo", "Echo", "Says it three times.")
    later(guest.folder / "echo.py")
    assert guest.load().option("attention/echo")["doc"] == "Says it three times."
    guest.preset("echo_few", "# Fewer heads\ndefaults: [echo, _self_]\n")
    guest.preset("echo_more")
    known = guest.load()
    assert known.presets["attention"]["echo_few"]["doc"] == "Fewer heads"
    assert "echo_more" in known.names("attention")
    (guest.folder / "conf" / "attention" / "echo_few.yaml").unlink()
    assert "echo_few" not in guest.load().names("attention")


def test_what_has_not_changed_is_not_read_again(guest, monkeypatch):
    guest.load()
    monkeypatch.setattr(catalogue, "take_inventory", lambda sources: pytest.fail("nothing has changed"))
    assert guest.load().option("attention/echo")["doc"] == "Says it twice."


def test_another_version_of_a_package_is_another_catalogue(guest, monkeypatch):
    guest.load()
    monkeypatch.setattr(Distribution, "version", "2.0")
    monkeypatch.setattr(Distribution.__init__, "__defaults__", ("somebodys-package", "2.0"))
    monkeypatch.setattr(
        discovery.importlib.metadata, "entry_points", lambda **wanted: [EntryPoint("guest", "guest_of_tests", Distribution())]
    )
    assert guest.load().option("attention/echo")["distribution"] == "somebodys-package 2.0"


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"stamp": "another"}'])
def test_a_damaged_file_is_made_again(own_catalogue, damage):
    options = catalogue.load().options
    (file,) = cache_folder().glob("catalogue-*.json")
    whole = json.loads(file.read_text())
    file.write_text(damage)
    catalogue.load.cache_clear()
    assert catalogue.load().options.keys() == options.keys()
    assert json.loads(file.read_text())["stamp"] == whole["stamp"]


def test_it_lies_in_the_one_cache_folder(own_catalogue, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PLUGFORMER_CACHE", "~/mine")
    catalogue.load()
    assert [path.parent for path in tmp_path.rglob("catalogue-*")] == [tmp_path / "mine"]


def test_a_cache_folder_that_cannot_be_used(own_catalogue, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("a file, not a folder")
    monkeypatch.setenv("PLUGFORMER_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="the cache folder .*file cannot be used: .*\n.*PLUGFORMER_CACHE=FOLDER"):
        catalogue.load()


@pytest.mark.parametrize(("group", "name"), [("attention", "linear"), ("model", "bert_tiny"), ("attention", "grouped_2")])
def test_a_preset_needs_a_name_of_its_own(guest, group, name):
    guest.preset(name, group=group)
    with pytest.raises(UserError, match=f"{group}/{name} exists twice") as refusal:
        guest.load()
    assert str(guest.folder / "conf" / group / f"{name}.yaml") in str(refusal.value)


def test_a_part_needs_a_name_of_its_own(guest):
    guest.write("echo", "Linear", "Not the one there is.")
    with pytest.raises(UserError, match="attention/linear is registered twice") as refusal:
        guest.load()
    assert "guest_of_tests.echo" in str(refusal.value)


def test_a_misspelt_rule_is_refused_and_the_catalogue_is_not_kept(guest):
    guest.write("echo", "Echo", 'Says it twice."""\n    rules = {"num_haeds > 0": "num_heads must be positive"}\n    """')
    for _ in range(2):
        with pytest.raises(UserError, match=r"attention/echo \(guest_of_tests.echo.EchoAttention\).*'num_haeds'.*did you mean 'num_heads'"):
            guest.load()


OPTIONS = '''"""Parts with options that say what they are."""

from typing import ClassVar

from framework.data.sources.builtin import BuiltinData
from framework.parts.attention.multi_head import MultiHeadAttention
from framework.registry import register


@register("attention")
class EchoAttention(MultiHeadAttention):
    """Says it twice."""

    option_traits = {"pattern": ("names",), "training_only": ("noise",)}

    def __init__(self, names: list[str] = [], noise: float = 0.0, loud: bool = False, **options):
        super().__init__(**options)


@register("data")
class ShelfData(BuiltinData):
    """Rows from a shelf."""

    option_traits = {"may_change": ("room",)}

    def __init__(self, room: str = "attic", shelf: int = 1, **options):
        super().__init__(**options)


@register("optimizer")
class LazyOptimizer:
    """Does little."""

    option_traits = {"optimizer_state": ("naps",)}

    def __init__(self, model, naps: int = 2, lr: float = 0.1, weight_decay: float = 0.0):
        pass
'''


def test_options_from_outside_carry_traits(guest, tmp_path):
    (guest.folder / "echo.py").write_text(OPTIONS)
    known = guest.load()
    for kind, name in (("data", "shelf"), ("optimizer", "lazy")):
        assert name in known.names(kind)
    words = ["task=classification", "model/attention=echo", "model.attention.names=[layers.[0-3].*,head]", "data=shelf", "optimizer=lazy"]
    composed = compose(words)
    model = composed.config["model"]
    assert model["attention"]["names"] == ["layers.[0-3].*", "head"]
    other = {**model, "attention": {**model["attention"], "noise": 0.5, "loud": True}}
    assert differences(other, model, known) == ["model.attention.loud=true"]

    run = Run.create(tmp_path / "runs", "classification", composed.config, composed.overrides, composed.chosen)
    allowed = changed(run, ["data.room=cellar", "optimizer.lr=0.2"], [], training=True)
    assert (allowed["data"]["room"], allowed["optimizer"]["lr"]) == ("cellar", 0.2)
    for word, reason in {"data.shelf=2": "other rows", "optimizer.naps=3": "optimizer state", "optimizer=sgd": "optimizer state"}.items():
        with pytest.raises(UserError, match=f"may not change: .*{reason}"):
            changed(run, [word], [], training=True)
    assert changed(run, ["data.shelf=2", "optimizer.naps=3"], [], training=False)["data"]["shelf"] == 2


def test_a_preset_of_a_preset_starts_from_the_part(guest):
    guest.preset("echo_few")
    guest.preset("echo_fewer", "# None\ndefaults: [echo_few, _self_]\n")
    assert guest.load().base("attention", "echo_fewer") == "echo"


class Sample:
    """A sample.

    count: how many, and what
        goes on below.
    first, second: both of them.

    This paragraph: is about nothing.
    """

    def __init__(
        self,
        dim: int,
        count: int | None = None,
        first: Literal["a", "b"] = "a",
        second: list[int | None] | None = None,
        table: dict[str, Any] | None = None,
        norm: Part = choice("norm", "layer", follows="norm"),
        *more: int,
        **rest: Any,
    ):
        pass


def test_what_is_known_of_a_part():
    registry._registrars[Sample] = __name__
    option = inventory._option(Sample)
    assert {name: field["type"] for name, field in option["fields"].items()} == {
        "count": "int | None",
        "first": "Literal['a', 'b']",
        "second": "list[int | None] | None",
        "table": "dict[str, Any] | None",
    }
    assert option["fields"]["count"]["meaning"] == "how many, and what goes on below."
    assert option["fields"]["first"]["meaning"] == option["fields"]["second"]["meaning"] == "both of them."
    assert option["slots"]["norm"] == {"kind": "norm", "default": "layer", "follows": "norm", "meaning": "", "traits": []}
    assert (option["doc"], option["context"]) == ("A sample.", ["dim"])


def test_every_part_is_importable_from_its_home():
    for part, module in catalogue.load().homes().items():
        assert registry.get(part).__name__, module


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("model", "model"),
        ("model/decoder/cross", "attention"),
        ("model/decoder/attention/qk_norm", "norm"),
        ("task/decoding", "decoding"),
        ("callbacks", "callbacks"),
        ("model/nothing", None),
        ("nothing", None),
    ],
)
def test_the_kind_at_a_path(path, kind):
    assert catalogue.load().kind_at(path) == kind


def test_every_group_has_something_to_choose():
    groups = dict(catalogue.load().groups())
    assert len(groups) > 30 and groups["model/encoder/final_norm"] == "norm"
    assert all(catalogue.load().names(kind) for kind in groups.values())
