"""Readers of files that somebody else may have made: what they read, what they refuse, and what they say."""

import json
import random
import zipfile

import pytest
import torch

from framework.data.spec import DataSpec
from framework.data.tokenization.description import GROWTH, check_description, growth
from framework.errors import UserError
from framework.runs.folder import Run
from framework.runs.resume import changed
from framework.utils.files import refuse_links
from framework.utils.json_files import DEPTH, parse_json, read_table
from framework.utils.typed import check_fields, fits, require
from framework.utils.yaml_files import dump, read_yaml
from framework.weights.safetensors_files import load_state, save_state
from framework.weights.torch_files import read_checkpoint
from tests.hostile import good


@pytest.mark.parametrize(
    ("type", "right", "wrong"),
    [
        (int, [0, -5, 2**62], [True, 1.0, "1", None, 2**63]),
        (float, [0, 1.5, -1e300], [True, float("nan"), float("inf"), "1.5", None]),
        (int | None, [None, 3], ["", False]),
        (list[str], [[], ["a"], ("a", "b")], ["a", [1], {}, None]),
        (dict[str, int], [{}, {"a": 1}], [{"a": "1"}, {1: 1}, [], None]),
        (dict[str, dict[str, int]], [{"a": {"b": 1}}], [{"a": 1}]),
    ],
)
def test_types_of_fields(type, right, wrong):
    assert all(fits(value, type) for value in right)
    assert not any(fits(value, type) for value in wrong)


def test_a_wrong_field_is_named_with_what_it_is_and_must_be():
    with pytest.raises(UserError, match=r"^f\.json: size is 'x+\.\.\.x+' and must be an integer or null$") as refused:
        check_fields({"size": "x" * 10**6}, {"size": int | None}, "f.json")
    assert len(str(refused.value)) < 200
    with pytest.raises(UserError, match=r"f\.json is not complete: it has no size, which must be a list, each entry a text"):
        require({}, {"size": list[str]}, "f.json")


def nested(depth):
    return "[" * depth + "]" * depth


def test_json_is_bounded_in_depth():
    assert parse_json(nested(DEPTH), "x")
    for depth in (DEPTH + 2, 100_000):
        with pytest.raises(UserError, match=f"nested more than {DEPTH} deep"):
            parse_json(nested(depth), "x")
    for damaged in ("9" * 10_000, "{", '{"a": \ud800}', "\x00"):
        with pytest.raises(UserError, match="^x is damaged: "):
            parse_json(damaged.encode("utf-8", "surrogatepass"), "x")


def test_a_link_to_nothing_and_a_folder_are_no_files(tmp_path):
    assert read_table(tmp_path / "absent.json") == {}
    with pytest.raises(UserError, match="is missing, or is no file"):
        read_table(tmp_path)


def test_config_yaml_is_written_without_aliases_and_refused_with_them(tmp_path):
    shared = [1, 2]
    path = tmp_path / "config.yaml"
    path.write_text(dump({"a": shared, "b": shared, "ü": "text: 5"}))
    assert "&" not in path.read_text() and "*" not in path.read_text()
    assert read_yaml(path) == {"a": shared, "b": shared, "ü": "text: 5"}
    for text, said in {
        "a: &x [1]\nb: *x\n": r"line 2: \*x is an alias",
        f"a: {nested(200)}": "nested more than",
        "a: 2001-02-03": "is no value of a config",
        "a: 2001-99-99": "is damaged",
        f"a: {'9' * 5000}": "is damaged",
        "a: !!python/object/apply:os.system [x]": "is damaged",
        "a: [": "is damaged",
    }.items():
        path.write_text(text)
        with pytest.raises(UserError, match=said):
            read_yaml(path)


def state():
    return {"state_dict": {f"task.layer.{number}": torch.randn(7, 5) for number in range(4)}, "epoch": 3}


def test_every_changed_byte_of_a_checkpoint_is_refused_or_changes_nothing(tmp_path):
    """A byte between the entries of an archive is not read."""
    path, chance, refused = tmp_path / "best.ckpt", random.Random(0), 0
    torch.save(state(), path)
    whole, before = path.read_bytes(), read_checkpoint(path)["state_dict"]
    before = {name: value.clone() for name, value in before.items()}
    for place in chance.sample(range(len(whole)), 150):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << chance.randrange(8))]) + whole[place + 1 :])
        try:
            now = read_checkpoint(path)["state_dict"]
        except UserError:
            refused += 1
        else:
            assert now.keys() == before.keys() and all(torch.equal(now[name], before[name]) for name in now)
    assert refused > 40


def test_every_changed_byte_of_the_tensors_of_an_export_is_refused(tmp_path):
    path, chance = tmp_path / "model.safetensors", random.Random(0)
    tied = torch.randn(3, 4)
    save_state({"a": tied, "b": tied, "c": torch.arange(5)}, path, torch.bfloat16)
    whole = path.read_bytes()
    assert load_state(path)["b"].equal(tied.bfloat16())
    data = 8 + int.from_bytes(whole[:8], "little")
    for place in chance.sample(range(data, len(whole)), 20):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        with pytest.raises(UserError, match=f"{path} has changed since it was written.*do not have their checksum"):
            load_state(path)


def archive(path, pickled, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in {"x/data.pkl": pickled, "x/version": "3\n", "x/data/0": bytes(10**6)}.items():
            file.writestr(name, content)


def test_an_archive_is_judged_by_its_directory_and_its_names(tmp_path):
    path = tmp_path / "best.ckpt"
    archive(path, b"\x80\x02}.", zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match=r"entries are compressed, to 1,000,\d\d\d bytes"):
        read_checkpoint(path)
    archive(path, b"\x80\x02cbuiltins\nbytearray\nK\x05\x85R.")
    with pytest.raises(UserError, match=r"might run code\.\nGLOBAL builtins\.bytearray"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vocab_size": "x"}, "vocab_size is 'x' and must be an integer"),
        ({"labels": [1]}, "labels is .* and must be a list, each entry a text"),
        ({"end": 261}, "end is 261, and the ids of this vocabulary are 0 to 260"),
        ({"special_ids": [3, -1]}, r"special_ids\[1\] is -1"),
        ({"max_length": 0}, "must be at least 1"),
    ],
)
def test_a_data_spec_is_checked(changes, said, tmp_path):
    path = tmp_path / "data_spec.json"
    DataSpec(261, 64, begin=1, end=2, labels=("a",), special_ids=(5,), statistics={"mean": 2}).save(path)
    spec = DataSpec.load(path)
    assert (spec.labels, spec.special_ids, spec.statistic("mean", float)) == (("a",), (5,), 2)
    with pytest.raises(UserError, match="mean in statistics is 2 and must be a text"):
        spec.statistic("mean", str)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(UserError, match=said):
        DataSpec.load(path)


def replace(pattern, content, kind="String"):
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def test_normalizers_are_bounded_by_their_product():
    assert growth(replace("a", "bb"), "x") == growth(replace("x", "a", "Regex"), "x") == 2
    assert growth(replace("``", '"'), "x") == growth({"type": "Prepend", "prepend": "▁"}, "x") == 1
    for times, refused in ((8, False), (9, True), (5000, True)):
        parts = {"type": "Sequence", "normalizers": [replace("a", "aa")] * times}
        description = {"model": {"vocab": {}}, "normalizer": parts}
        if not refused:
            check_description(description, "x")
            continue
        with pytest.raises(UserError, match=f"x: its normalizer (can make a text 512 times|has more than 64).*({GROWTH}|components)"):
            check_description(description, "x")


def test_interpolations_of_a_run_are_text(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "known to nobody")
    monkeypatch.chdir(tmp_path)
    folder = good.run(tmp_path, "classification")
    notes = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**notes, "overrides": [*notes["overrides"], "name=${oc.env:SECRET}"]}))
    config = changed(Run.open(folder), ["data=builtin"], [], training=False)
    assert "known to nobody" not in str(config) and config["data"]["part"] == "data/builtin"
    (folder / "run.json").write_text(json.dumps({**notes, "overrides": [*notes["overrides"], "schedule=${oc.env:SECRET}"]}))
    with pytest.raises(UserError, match=r"'schedule=\$\{oc.env:SECRET\}' is an interpolation"):
        changed(Run.open(folder), ["data=builtin"], [], training=False)


def test_links_that_lead_out_of_a_folder_are_not_written(tmp_path):
    (tmp_path / "run" / "wandb").mkdir(parents=True)
    (tmp_path / "run" / "file").touch()
    (tmp_path / "run" / "wandb" / "latest").symlink_to("../file")  # as W&B makes them
    refuse_links(tmp_path / "run")
    (tmp_path / "run" / "train.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=f"{tmp_path}/run/train.log is a link to {tmp_path}/elsewhere"):
        refuse_links(tmp_path / "run")
