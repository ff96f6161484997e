"""Folders and fields made hostile: a sample by a fixed seed; all of them with `-m whole` and benchmarks/hostile_folders.py."""

import contextlib
import io
import os
import random
import shutil
from pathlib import Path

import pytest

from tests.hostile import fields, good
from tests.hostile.folders import CASES
from tests.hostile.opening import open_published, open_run, open_tokenizer, start_from, verdict
from tests.hostile.watch import judged, run_case

CHEAP = ("config.yaml", "data_spec.json", "checkpoint", "tokenizer", "published")  # refused before data is read
DRAWN = random.Random(11).sample([case for case in CASES if case.name.startswith(CHEAP) and not case.opens and "MB" not in case.name], 6)
RUNS = {
    "classification": (),
    "number": ("task/format/target=number",),
    "ner": (),
    "completion": (),
    "translation": (),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return good.folders(tmp_path_factory.mktemp("good"))


def ended(case, folders, tmp_path):
    (tmp_path / "own").mkdir()
    return judged(case, run_case(case, folders, tmp_path, Path(os.environ["PLUGFORMER_CACHE"])))


def test_good_folders_are_opened(folders):
    with contextlib.redirect_stdout(io.StringIO()):
        assert verdict(open_run, folders["run"]) == verdict(open_run, folders["exported"]) == "opened"
        for name in ("published", "sharded", "albert"):
            assert verdict(open_published, folders[name]) == verdict(open_tokenizer, folders[name]) == "opened"


@pytest.mark.parametrize("case", DRAWN, ids=lambda case: case.name)
def test_a_sample_of_hostile_folders(case, folders, tmp_path):
    assert ended(case, folders, tmp_path) == []


@pytest.mark.whole
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_hostile_folder(case, folders, tmp_path):
    assert ended(case, folders, tmp_path) == []


def broken(folder, ways, chosen, tmp_path):
    """The chosen mutations of a folder that were neither opened nor refused."""
    wrong = []
    for number, (file, place, value) in enumerate(chosen):
        other = tmp_path / f"mutation{number}"
        shutil.copytree(folder, other, copy_function=os.link)
        fields.mutate(other, file, place, value)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            found = {verdict(way, other) for way in ways}
        shutil.rmtree(other)
        wrong += [f"{file}: {'.'.join(map(str, place))} = {value}: {said}" for said in found - {"opened", "refused"}]
    return wrong


def drawn(folder, count, seed=0):
    """Mutations of a folder, of each file the same number."""
    every, chance = fields.mutations(folder), random.Random(seed)
    files = sorted({file for file, _, _ in every})
    return [each for file in files for each in chance.sample([one for one in every if one[0] == file], count)]


def test_a_sample_of_fields_of_a_run(folders, tmp_path):
    assert broken(folders["run"], [open_run], drawn(folders["run"], 8), tmp_path) == []


@pytest.mark.parametrize("name", ["published", "sharded", "albert"])
def test_a_sample_of_fields_of_published_folders(name, folders, tmp_path):
    assert broken(folders[name], [open_published, open_tokenizer], drawn(folders[name], 8), tmp_path) == []


@pytest.mark.whole
@pytest.mark.parametrize("task", RUNS)
def test_every_field_of_a_run(task, tmp_path):
    number = {"labels": (), "statistics": {"mean": 1.0, "deviation": 2.0}} if task == "number" else {}
    folder = good.run(tmp_path / "good", "classification" if task == "number" else task, *RUNS[task], **number)
    assert broken(folder, [open_run], fields.mutations(folder), tmp_path) == []


@pytest.mark.whole
@pytest.mark.parametrize("name", good.FAMILIES)
def test_every_field_of_every_family(name, tmp_path):
    folder = good.published(tmp_path / "good", name)
    assert broken(folder, [open_published, open_tokenizer, start_from], fields.mutations(folder), tmp_path) == []
