"""--help, list and describe: short, complete, and without heavy imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from framework.__main__ import main
from framework.cli.help import describe_text, help_text, list_text
from framework.cli.train import main as train_main
from framework.config import catalogue as index
from framework.config.catalogue import GROUPS, NAMED, Catalogue

pytestmark = pytest.mark.hydra  # also with a newer one: make test-hydra

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = [f"{kind}/{name}" for kind, names in index.load().options.items() for name in names]


def test_help_fits_on_a_screen_and_names_every_group_slot_and_plugin(capsys):
    assert train_main(["--help"]) == 0
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 140
    catalogue = index.load()
    starts = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("  ")}
    assert set(GROUPS) <= set(starts)
    for kind in set(catalogue.slots("model").values()):
        assert starts[kind], kind
    plugins = {path.name for path in (ROOT / "plugins").iterdir() if (path / "__init__.py").is_file()}
    assert plugins and plugins <= set(starts["task"])
    assert sum(line.startswith("  python train.py") for line in lines) >= 6


def test_help_or_a_mistake_imports_nothing_heavy():
    """Imports are what they cost: without these it is far below two seconds."""
    index.load.cache_clear()
    index.load()  # made and kept, if a source has changed since
    heavy = ["torch", "pytorch_lightning", "torchmetrics", "wandb", "datasets", "tokenizers", "numpy"]
    commands = [["train", "--help"], ["list"], ["describe", "attention/linear"], ["train", "model.dmi=3"]]
    program = f"""\
import sys
from framework.__main__ import main

for words in {commands}:
    main(words)
    print("heavy:", *[name for name in {heavy!r} if name in sys.modules], flush=True)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line for line in done.stdout.splitlines() if line.startswith("heavy:")] == ["heavy:"] * len(commands)
    assert len(done.stdout.splitlines()) > 2 * len(commands) and "model.dmi" in done.stderr


def test_a_long_list_is_folded_to_a_count():
    known = index.load()
    many = {f"part_{number}_{'x' * number}": known.option("norm/rms") for number in range(40)}
    text = help_text(Catalogue({**known.options, "norm": many}, known.presets))
    (line,) = [line for line in text.splitlines() if line.startswith("  norm ")]
    shown = [word for word in line.split() if word.startswith("part_")]
    assert line.endswith(f"(+{40 - len(shown)} more)") and 0 < len(shown) < 40
    assert len(text.splitlines()) <= 40 and len(line) <= 140


def test_families_of_presets_are_folded():
    text = help_text(index.load())
    assert "bert_{base,large,mini,small,tiny}" in text and " bert_mini " not in text


def test_models_have_more_than_a_line():
    lines = help_text(index.load()).splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("  model "))
    assert lines[first + 1].startswith(" " * 13) and lines[first + 2].endswith(" more)")
    shown = " ".join(line[13:] for line in lines[first : first + 3])
    assert "gpt2_{large,medium,xl}" in shown and "distilbert_base" in shown


def test_guests_come_first_and_are_marked():
    known = index.load()
    options = json.loads(json.dumps(known.options))
    options["position"]["zigzag"] = {**options["position"]["alibi"], "distribution": "somebodys-package 1.0"}
    catalogue = Catalogue(options, known.presets)
    (line,) = [line for line in help_text(catalogue).splitlines() if line.startswith("  position ")]
    assert line.split()[1] == "zigzag"
    (line,) = [line for line in list_text(catalogue, "position").splitlines() if line.split()[0] == "zigzag"]
    assert line.endswith("[somebodys-package 1.0]")
    assert "[" not in "".join(list_text(catalogue, "norm").splitlines())


def test_list_names_everything(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    catalogue = index.load()
    listed: dict[str, list[str]] = {}
    for line in lines:
        if not line.startswith(" "):
            listed[line] = names = []
        else:
            names.append(line.split()[0])
    for kind in {*GROUPS, *catalogue.options, *catalogue.presets} - {"", "recipe"}:  # recipes are listed by task
        assert listed[kind] == catalogue.names(kind), kind


def test_list_of_one_kind_is_that_kind(capsys):
    assert main(["list", "norm"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["norm", *index.load().names("norm")]


@pytest.mark.parametrize("part", OPTIONS)
def test_every_option_is_described_and_means_something(part, capsys):
    assert main(["describe", part]) == 0
    text = capsys.readouterr().out
    option = index.load().option(part)
    assert len(option["doc"]) > 15 and option["doc"] in text.splitlines()[0]
    assert f"{option['file']}:{option['line']}" in text
    for name, known in {**option["fields"], **option["slots"]}.items():
        assert len(known["meaning"]) > 8, f"{part}.{name}: the class's docstring has no line `{name}: ...`"
        assert f"\n  {name}: " in text
    for reason in option["declarations"].get("rules", {}).values():
        assert reason in text


def test_every_preset_is_described_and_says_what_it_is(capsys):
    for group, names in index.load().presets.items():
        for name, preset in names.items():
            if group not in ("", "."):
                assert preset["doc"], preset["file"]
                assert main(["describe", f"{group}/{name}"]) == 0
                text = capsys.readouterr().out
                assert preset["file"] in text and Path(preset["file"]).read_text(encoding="utf-8").strip() in text


def test_options_are_described_with_type_default_and_meaning():
    text = describe_text(index.load(), "attention/multi_head")
    assert "\n  num_kv_heads: int | None = None  key/value heads" in text
    assert "\n  qk_norm: norm, default none; dynamic_tanh layer none rms" in text
    assert "Context arguments: dim, num_heads" in text
    assert "follows the owner's attention" in describe_text(index.load(), "decoder/cross")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["describe", "attention/linar"], "there is no attention 'linar' (did you mean 'linear'?)"),
        (["describe", "atention/linear"], "there is no kind 'atention' (did you mean 'attention'?)"),
        (["describe", "linear"], "describe takes one option"),
        (["list", "nrom"], "there is no kind 'nrom' (did you mean 'norm'?)"),
        (["list", "norm", "block"], "list takes one kind"),
    ],
)
def test_what_is_not_there_is_said(words, said, capsys):
    assert main(words) == 2
    out, error = capsys.readouterr()
    assert out == "" and said in error


def test_named_groups_hold_nodes_of_kinds_that_exist():
    assert all(kind in index.load().options for kind in NAMED.values())
