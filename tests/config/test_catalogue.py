"""The catalogue: entries of parts, when it is made again, and packages from outside."""

import importlib
import importlib.metadata
import os
import re
import shutil
import sys
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest

from framework import registry
from framework.__main__ import main
from framework.config import catalogue, discovery, inventory, records
from framework.config.compose import compose
from framework.config.diff import differences
from framework.errors import UserError
from framework.registry import Part, choice
from framework.runs.finding import newest
from framework.runs.folder import Run
from framework.runs.resume import changed
from tests import forks

take = inventory.take_inventory
ATTENTION = '''"""A guest."""

from framework.parts.attention.multi_head import MultiHeadAttention
from framework.registry import register


@register("attention")
class {name}Attention(MultiHeadAttention):
    """{doc}"""
'''
IMPORT, WORSE = "from framework import register\n", ATTENTION.format(name="Worse", doc="")


@pytest.fixture
def own_catalogue(tmp_path, monkeypatch):
    """A cache folder of the test's own, with the records of our packages; afterwards registry and catalogue are what they were."""
    catalogue.load.cache_clear()
    catalogue.load()
    known = {kind: dict(names) for kind, names in registry._classes.items()}
    (tmp_path / "cache").mkdir()
    shutil.copy(catalogue._file(), tmp_path / "cache")
    monkeypatch.setenv("PLUGFORMER_CACHE", str(tmp_path / "cache"))
    catalogue.load.cache_clear()
    yield
    monkeypatch.undo()
    catalogue.load.cache_clear()
    for kind, names in registry._classes.items():  # modules of ours that the test was the first to import are not imported again
        ours = {name: part for name, part in names.items() if part.__module__.startswith(("framework.", "plugins."))}
        known[kind] = {**ours, **known.get(kind, {})}
    registry._classes.clear()
    registry._classes.update({kind: names for kind, names in known.items() if names})
    catalogue.load()


@dataclass
class Distribution:
    name: str = "somebodys-package"
    version: str = "1.2"


@dataclass
class EntryPoint:
    """The entry point of an installed package, as importlib.metadata returns it."""

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
        for module in [name for name in sys.modules if name.partition("_of_")[0] in ("guest", "other")]:
            del sys.modules[module]
        registry.forget("guest_of_tests")
        registry.forget("other_of_tests")
        catalogue.load.cache_clear()
        importlib.invalidate_caches()
        return catalogue.load()


@pytest.fixture
def entries(monkeypatch):
    """The entry points that are found."""
    entries = [EntryPoint("guest", "guest_of_tests", Distribution())]
    found = importlib.metadata.entry_points
    monkeypatch.setattr(
        discovery.importlib.metadata,
        "entry_points",
        lambda **wanted: entries if wanted == {"group": "plugformer.plugins"} else found(**wanted),
    )
    return entries


@pytest.fixture
def guest(tmp_path, monkeypatch, own_catalogue, entries):
    monkeypatch.syspath_prepend(tmp_path)
    return Guest(tmp_path / "guest_of_tests")


@pytest.fixture
def other(tmp_path, guest, entries):
    """A second package, with an attention of the same name."""
    entries.append(EntryPoint("other", "other_of_tests", Distribution("other-package", "3")))
    return Guest(tmp_path / "other_of_tests")


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


@pytest.mark.parametrize(
    ("old", "new", "imported"),
    [
        ("", "", False),
        ('"""Says it twice."""', '"""Says it twice."""\n    # a remark', False),
        ("return x", "return x + 1  # the body of a method", False),
        ('"""Says it twice."""', '"""Says it thrice."""', True),
        ("loud: bool = False", "loud: bool = True", True),
        ("return 7", "return 8  # of a function that the class calls when it is made", True),
    ],
)
def test_a_package_is_imported_again_if_an_entry_may_have_changed(guest, monkeypatch, old, new, imported):
    text = (guest.folder / "echo.py").read_text().replace("@register", "def seven():\n    return 7\n\n\n@register")
    text += "\n    size = seven()\n\n    def __init__(self, loud: bool = False, **options):\n        super().__init__(**options)\n"
    text += "\n    def echo(self, x):\n        return x\n"
    (guest.folder / "echo.py").write_text(text)
    guest.load()
    (guest.folder / "echo.py").write_text(f"\n{text}".replace(old, new) if old else text)
    taken = []
    monkeypatch.setattr(records, "take_inventory", lambda origin, modules: taken.append(origin.package) or take(origin, modules))
    option = guest.load().option("attention/echo")
    assert taken == ["guest_of_tests"] * imported
    assert (guest.folder / "echo.py").read_text().splitlines()[option["line"] - 1].startswith("@register")


def test_a_package_depends_on_those_that_it_imports(guest, other):
    text = (other.folder / "echo.py").read_text()
    base = text.replace("EchoAttention", "BaseAttention").replace('@register("attention")\n', "")
    text = text.replace("framework.parts.attention.multi_head", "guest_of_tests.base").replace("MultiHeadAttention", "BaseAttention")
    (other.folder / "echo.py").write_text(text.replace("EchoAttention", "ReplyAttention"))
    (guest.folder / "base.py").write_text(base)
    assert "loud" not in guest.load().option("attention/reply")["fields"]
    more = "\n    def __init__(self, loud: bool = False, **options):\n        super().__init__(**options)\n"
    (guest.folder / "base.py").write_text(base + more)
    assert guest.load().option("attention/reply")["fields"]["loud"]["type"] == "bool"


def test_modules_that_register_nothing_are_not_imported(guest):
    """A script, plots with a library that is not installed; and what a module says about registering in words."""
    (guest.folder / "script.py").write_text('"""Registers nothing: @register is a word here."""\nraise SystemExit("imported")\n')
    (guest.folder / "plots.py").write_text("import no_such_library\nimport atexit\natexit.register(print)\n")
    (guest.folder / "layers.py").write_text("class Layer:\n    def __init__(self):\n        self.register_buffer('x', no_such_name)\n")
    (guest.folder / "again.py").write_text((guest.folder / "echo.py").read_text().replace("EchoAttention", "AgainAttention"))
    known = guest.load()
    assert known.left_out == () and {"echo", "again"} <= set(known.names("attention"))
    assert not {"guest_of_tests.script", "guest_of_tests.plots", "guest_of_tests.layers"} & sys.modules.keys()


@pytest.mark.matrix(0.5, axes=())
@pytest.mark.parametrize(
    ("module", "text", "reason"),
    [
        ("worse", f"{IMPORT}import no_such_library\n", "worse.py, line 2: ModuleNotFoundError: .*no_such_library"),
        ("worse", f"{IMPORT}1 / 0\n", "worse.py, line 2: ZeroDivisionError: division by zero"),
        ("worse", f"{IMPORT}import sys\nsys.exit(3)\n", "worse.py, line 3: SystemExit: 3"),
        ("worse", f"{IMPORT}@register('attention')\nclass Worse\n", "worse.py, line 3: SyntaxError"),
        ("__init__", "raise RuntimeError('two\\nlines')\n", "__init__.py, line 1: RuntimeError: two lines"),
        ("worse", ATTENTION.format(name="Echo", doc=""), "worse.py, line 7: attention/echo is registered twice: .*echo.* and .*worse"),
        ("worse", WORSE.replace('"attention"', '"attentoin"'), "did you mean 'attention'.*new_kind=True"),
        ("worse", f"{WORSE}\n    rules = {{'haeds > 0': ''}}\n", "WorseAttention.*'haeds'"),
        ("worse", f"{WORSE}\n    rules = {{'scale > 0': ''}}\n", "WorseAttention.*'scale is None or scale > 0'"),
    ],
)
def test_a_package_that_cannot_be_read_is_left_out_with_one_line(guest, other, caplog, module, text, reason):
    guest.preset("echo_few")
    (other.folder / "echo.py").write_text((other.folder / "echo.py").read_text().replace("Echo", "Reply"))
    (guest.folder / f"{module}.py").write_text(text)
    for _ in range(2):  # made, and read
        caplog.clear()
        known = guest.load()
        assert "reply" in known.names("attention") and not {"echo", "worse", "echo_few"} & set(known.names("attention"))
        (line,) = [record.getMessage() for record in caplog.records if record.name == "plugformer"]
        assert re.fullmatch(f"plugin somebodys-package 1.2 was left out: .*({reason}).*", line)
    for name in ("echo", "echo_few"):
        with pytest.raises(UserError) as refused:
            compose([f"model/attention={name}"])
        assert str(refused.value) == f"model/attention: there is no attention {name!r}: {line}"
    with pytest.raises(UserError, match="there is no attention 'echo': plugin somebodys-package"):
        registry.get("attention/echo")
    (guest.folder / f"{module}.py").write_text("")
    assert {"echo", "echo_few"} <= set(guest.load().names("attention"))


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["describe", "attention/linear"],
        ["check", "model.dim=16", "model.num_heads=2"],
        ["train", "--help"],
        ["train", "--cfg", "job"],
    ],
    ids=" ".join,
)
def test_every_verb_works_beside_packages_that_are_broken_missing_or_clash(guest, other, entries, capsys, caplog, words):
    entries.append(EntryPoint("gone", "gone_of_tests", Distribution("gone-package", "0.3")))
    (guest.folder / "worse.py").write_text(f"{IMPORT}1 / 0\n")
    other.write("linear", "Linear", "Not the one there is.")
    guest.load()
    assert main(words) == 0
    assert capsys.readouterr().out
    lines = [record.getMessage() for record in caplog.records if record.name == "plugformer"]
    assert [line.partition(": ")[0].partition(" shares")[0] for line in lines] == [
        "plugin gone-package 0.3 was left out",
        "plugin somebodys-package 1.2 was left out",
        "plugin other-package 3",
    ]


def test_a_package_that_was_left_out_is_tried_again_when_another_one_is_installed(guest, monkeypatch, tmp_path):
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    (guest.folder / "echo.py").write_text(f"import library_of_tests\n{(guest.folder / 'echo.py').read_text()}")
    assert "echo" not in guest.load().names("attention")
    (site / "library_of_tests.py").write_text("")
    later(site)
    assert "echo" in guest.load().names("attention")


@pytest.mark.parametrize("value", ["gone_of_tests", "gone_of_tests.inside", "guest_of_tests.inside", "guest_of_tests.raises.inside"])
def test_a_package_without_its_module_is_left_out(guest, entries, caplog, value):
    (guest.folder / "raises").mkdir()
    (guest.folder / "raises" / "__init__.py").write_text("raise RuntimeError('two\\nlines')\n")
    entries.append(EntryPoint("gone", value, Distribution("gone-package", "0.3")))
    known = guest.load()
    assert "echo" in known.names("attention")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "plugformer"]
    assert line.startswith("plugin gone-package 0.3 was left out: ") and "\n" not in line
    with pytest.raises(UserError, match="there is no attention 'left'.*plugin gone-package 0.3 was left out"):
        compose(["model/attention=left"])


def test_the_package_of_a_chosen_part_fails_later(guest):
    """A package whose import was there when it was indexed."""
    guest.load()
    for name in [name for name in sys.modules if name.startswith("guest_of_tests")]:
        del sys.modules[name]
    registry.forget("guest_of_tests")
    (guest.folder / "echo.py").write_text("import no_such_library\n")
    with pytest.raises(UserError, match=r"attention/echo cannot be used: .*echo.py, line 1: ModuleNotFoundError.*no_such_library"):
        registry.get("attention/echo")


def test_a_name_of_ours_stays_ours_and_theirs_is_qualified(guest, caplog):
    guest.write("linear", "Linear", "Not the one there is.")
    known = guest.load()
    (line,) = [record.getMessage() for record in caplog.records if record.name == "plugformer"]
    assert "somebodys-package 1.2" in line and "attention=guest:linear" in line
    assert {"linear", "guest:linear", "echo"} <= set(known.names("attention"))
    assert known.option("attention/linear")["class"].startswith("framework.")
    assert known.option("attention/guest:linear")["doc"] == "Not the one there is."
    assert registry.get("attention/linear").__module__.startswith("framework.")
    assert registry.get("attention/guest:linear").__module__ == "guest_of_tests.linear"
    assert compose(["model/attention=linear"]).config["model"]["attention"]["part"] == "attention/linear"
    assert compose(["model/attention=guest:linear"]).config["model"]["attention"]["part"] == "attention/guest:linear"


@pytest.mark.parametrize("first", ["guest_of_tests.linear", "framework.parts.attention.linear"])
def test_the_order_of_imports_does_not_matter(guest, first):
    guest.write("linear", "Linear", "Not the one there is.")
    guest.load()
    registry._classes["attention"].clear()
    for name in ("guest_of_tests.linear", "framework.parts.attention.linear"):
        sys.modules.pop(name, None)
    importlib.import_module(first)
    assert registry.get("attention/linear").__module__ == "framework.parts.attention.linear"
    assert registry.get("attention/guest:linear").__module__ == "guest_of_tests.linear"


def test_two_packages_with_one_name_qualify_both(guest, other, caplog):
    known = guest.load()
    assert len([record for record in caplog.records if record.name == "plugformer"]) == 2
    assert {"guest:echo", "other:echo"} <= set(known.names("attention")) and "echo" not in known.names("attention")
    with pytest.raises(UserError, match="several parts attention 'echo': choose guest:echo or other:echo"):
        compose(["model/attention=echo"])
    with pytest.raises(UserError, match="choose guest:echo or other:echo"):
        registry.get("attention/echo")
    for name in ("guest", "other"):
        assert compose([f"model/attention={name}:echo"]).config["model"]["attention"]["part"] == f"attention/{name}:echo"
        assert registry.get(f"attention/{name}:echo").__module__ == f"{name}_of_tests.echo"


def test_a_qualified_name_works_where_nobody_else_has_it(guest):
    guest.preset("echo_few", "# Few\nis: guest:echo\nnum_kv_heads: 1\n")
    known = guest.load()
    assert known.notices() == [] and "guest:echo" not in known.names("attention") and known.base("attention", "guest:echo_few") == "echo"
    for name in ("guest:echo", "echo_few", "guest:echo_few"):
        assert compose([f"model/attention={name}"]).config["model"]["attention"]["part"] == "attention/echo"
    assert registry.get("attention/guest:echo").__module__ == "guest_of_tests.echo"


@pytest.mark.parametrize(("group", "name"), [("attention", "linear"), ("model", "bert_tiny"), ("attention", "grouped_2")])
def test_a_preset_with_a_name_that_is_taken_is_qualified(guest, group, name):
    guest.preset(name, "# Theirs\nis: linear\n" if group == "attention" else "# Theirs\nis: gpt2\n", group=group)
    known = guest.load()
    assert known.presets[group][f"guest:{name}"]["doc"] == "Theirs"
    assert known.presets.get(group, {}).get(name, {"doc": ""})["doc"] != "Theirs"
    chosen = f"model/{group}" if group != "model" else "model"
    part = {"attention": "attention/linear", "model": "model/decoder_only"}[group]
    config = compose([f"{chosen}=guest:{name}", "task=completion"]).config["model"]
    assert (config if group == "model" else config["attention"])["part"] == part


def test_a_part_and_a_preset_of_one_package_need_two_names(guest):
    guest.preset("echo")
    (plugin,) = guest.load().left_out
    assert "attention/echo" in plugin.reason


def test_a_run_finds_its_parts_or_names_the_package_that_it_needs(guest, entries, tmp_path, monkeypatch):
    guest.load()
    config = compose(["model/attention=echo"]).config
    run = Run.create(tmp_path / "runs", "completion", config)
    assert Run.open(run.folder).config()["model"]["attention"]["part"] == "attention/echo"
    another = Guest(tmp_path / "other_of_tests")
    entries.append(EntryPoint("other", "other_of_tests", Distribution("other-package", "3")))
    guest.load()
    assert Run.open(run.folder).config()["model"]["attention"]["part"] == "attention/guest:echo"
    del entries[0]
    guest.load()
    with pytest.raises(UserError, match=r"needs attention/echo of somebodys-package 1.2.*pip install 'somebodys-package==1.2'"):
        Run.open(run.folder)  # there is another attention/echo
    assert newest(tmp_path / "runs", "completion", config["name"]) is not None  # another one of that name may be in order
    (another.folder / "echo.py").write_text("from framework import register\n1 / 0\n")
    entries[0] = EntryPoint("guest", "other_of_tests", Distribution())
    guest.load()
    with pytest.raises(UserError, match=r"needs attention/echo .*plugin somebodys-package 1.2 was left out: .*ZeroDivisionError"):
        Run.open(run.folder)
    (another.folder / "echo.py").write_text("")
    guest.load()
    with pytest.raises(UserError, match=r"needs attention/echo of somebodys-package 1.2.*not installed|no such part"):
        Run.open(run.folder)


def test_another_version_of_a_package_is_another_catalogue(guest, entries):
    guest.load()
    entries[0] = EntryPoint("guest", "guest_of_tests", Distribution(version="2.0"))
    assert guest.load().option("attention/echo")["distribution"] == "somebodys-package 2.0"


@pytest.mark.parametrize("union", [int | float | None, float | int | None, None | float | int])
def test_a_type_has_one_name(union):
    """`typing` returns the union that was made first for all that are equal to it."""
    assert inventory._type_name(union) == "int | float | None"


DAMAGED = """
import json
from framework.config import catalogue
from framework.utils.cache_folder import cache_folder
options = catalogue.load().options
(file,) = cache_folder().glob("catalogue-*.json")
whole = json.loads(file.read_text())
for damage in ("", "[]", "{"):
    file.write_text(damage)
    assert catalogue._read(file) == {}, damage
for damage in ("{", json.dumps({"framework.parts": {"key": "another"}})):
    file.write_text(damage)
    catalogue.load.cache_clear()
    assert catalogue.load().options.keys() == options.keys(), damage
    assert json.loads(file.read_text()) == whole, damage
print("made again")
"""


def test_a_damaged_file_is_made_again(own_catalogue):
    """In a process of its own: what is indexed anew are the modules as they were imported, which other tests change."""
    _, out, said = forks.python(DAMAGED, forks.ROOT)
    assert out == "made again\n", said


def test_a_folder_with_plugins_takes_the_records_of_ours_from_other_folders(own_catalogue, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "norm", "mine"]) == 0
    monkeypatch.setattr(sys, "path", [*sys.path])
    indexed = []
    monkeypatch.setattr(records, "take_inventory", lambda origin, modules: indexed.append(origin.package) or take(origin, modules))
    for _ in range(2):
        catalogue.load.cache_clear()
        assert catalogue.load().has("norm", "mine") and indexed == ["mine"]
    assert len({*catalogue._file().parent.glob("catalogue-*.json")}) == 2
    del sys.modules["mine"]


def test_it_lies_in_the_one_cache_folder(own_catalogue, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PLUGFORMER_CACHE", "~/mine")
    catalogue.load()
    assert [path.parent for path in (tmp_path / "mine").rglob("catalogue-*")] == [tmp_path / "mine"]


def test_a_cache_folder_that_cannot_be_used(own_catalogue, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("a file, not a folder")
    monkeypatch.setenv("PLUGFORMER_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="the cache folder .*file cannot be used: .*\n.*PLUGFORMER_CACHE=FOLDER"):
        catalogue.load()


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
    known = catalogue.load()
    for part in (f"{kind}/{name}" for kind, names in known.options.items() for name in names):
        assert registry.registrar(registry.get(part)) == known.home(part)


def test_the_kinds_that_the_registry_knows_are_those_of_the_framework():
    options = catalogue.load().options.items()
    ours = {kind for kind, names in options if any(entry["package"].startswith("framework.") for entry in names.values())}
    assert ours | {"format", "task"} == set(registry.KINDS)


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


def test_packages_are_not_indexed_in_the_middle_of_an_import(own_catalogue, monkeypatch):
    """A module of a plugin that is imported first registers its parts before the catalogue is read."""
    importing = ModuleType("plugins.ner.data")
    importing.__spec__ = ModuleSpec("plugins.ner.data", None)
    importing.__spec__._initializing = True
    monkeypatch.setitem(sys.modules, "plugins.ner.data", importing)
    monkeypatch.setattr(catalogue, "_indexed", lambda *_: pytest.fail("the packages were indexed"))
    assert catalogue.known().rule_names() is None and catalogue.known().packages["plugins.ner"] == "ner"
    assert not catalogue.load.cache_info().currsize
