"""Derived splits: exact shares of rows and labels, every row once, reproducible by seed; samples of rows."""

from collections import Counter

import pytest

from framework.data.formats import Format
from framework.data.module import prepare
from framework.data.sources.builtin import BuiltinData
from framework.data.sources.files import FilesData
from framework.data.tokenization.trainers import BytesTokenizer
from framework.errors import UserError
from framework.registry import Part
from tests.data.toy import Labeled, Stream, files


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"text {number},good\n" for number in range(100)))
    return str(path)


def is_sample(rows, everything, count):
    """Whether rows are so many of all rows, in their order and not simply the first."""
    rest = iter(everything)
    return len(rows) == count and rows != everything[:count] and all(row in rest for row in rows)


def texts(source, split):
    return [row["text"] for row, _ in source.rows(split)]


def test_random_rows_are_exactly_the_share_and_disjoint(table):
    source = files(train=table, validation_share=0.1)
    train, validation = texts(source, "train"), texts(source, "validation")
    assert (len(train), len(validation)) == (90, 10)
    assert sorted(train + validation) == sorted(f"text {number}" for number in range(100))
    assert validation != [f"text {number}" for number in range(90, 100)]


def test_the_seed_decides(table):
    def validation(seed):
        return texts(FilesData(Labeled(), seed, train=table, batches=Part("batches/rows")), "validation")

    assert validation(1) == validation(1) != validation(2)


def test_a_given_validation_file_is_taken(table, tmp_path):
    other = tmp_path / "b.csv"
    other.write_text("text,label\nheld out,good\n")
    source = files(train=table, validation=str(other))
    assert texts(source, "validation") == ["held out"]
    assert len(texts(source, "train")) == 100
    assert source.splits == ("train", "validation")


def test_the_last_rows(table):
    source = files(train=table, validation_share=0.05, split="last")
    assert texts(source, "validation") == [f"text {number}" for number in range(95, 100)]
    assert texts(source, "train") == [f"text {number}" for number in range(95)]


@pytest.mark.parametrize("how", ["random", "last"])
def test_one_file_gives_validation_and_test_too(table, how):
    source = files(train=table, validation_share=0.1, test_share=0.25, split=how)
    parts = {split: texts(source, split) for split in ("train", "validation", "test")}
    assert source.splits == tuple(parts)
    assert [len(part) for part in parts.values()] == [65, 10, 25]
    together = [text for part in parts.values() for text in part]
    everything = [f"text {number}" for number in range(100)]
    assert (together if how == "last" else sorted(together)) == (everything if how == "last" else sorted(everything))
    assert files(train=table, test_share=0.25, validation_share=0).splits == ("train", "test")
    assert files(train=table, test=table, test_share=0.25).fingerprint("test")["share"] is None


def test_the_test_part_is_the_same_for_every_seed_and_every_validation_share(table):
    def part(split, seed=0, validation_share=0.1):
        values = {"validation_share": validation_share, "test_share": 0.2, "batches": Part("batches/rows")}
        return texts(FilesData(Labeled(), seed, train=table, **values), split)

    assert part("test") == part("test", seed=1) == part("test", validation_share=0.5) == part("test", validation_share=0)
    assert part("validation") != part("validation", seed=1)


def test_rows_without_labels_have_folds_too(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("".join(f"line {number}\n" for number in range(10)))
    parts = [texts(files(Stream(), train=str(path), folds=3, fold=fold, validation_share=0), "test") for fold in (1, 2, 3)]
    assert sorted(len(part) for part in parts) == [3, 3, 4] and len({text for part in parts for text in part}) == 10


def test_folds_of_data_with_a_test_part_or_with_few_rows_are_refused(table, tmp_path):
    with pytest.raises(UserError, match=r"data\.folds=5 .*data\.test=null"):
        files(train=table, test=table, folds=5, fold=1).check()
    (tmp_path / "few.csv").write_text("text,label\na,b\nc,d\n")
    with pytest.raises(UserError, match=r"data\.folds=3.*2 training rows"):
        texts(files(train=str(tmp_path / "few.csv"), folds=3, fold=1, validation_share=0), "train")


def test_a_text_is_cut_twice(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("0123456789" * 10)
    for unit in ("file", "line"):
        source = files(Stream(), train=str(path), validation_share=0.05, test_share=0.25, split="last", text_unit=unit)
        assert [texts(source, split) for split in source.splits] == [["0123456789" * 7], ["01234"], ["56789" + "0123456789" * 2]]


@pytest.mark.parametrize("unit", ["line", "paragraph", "file"])
def test_the_last_share_of_a_text_is_cut_at_the_character(tmp_path, unit):
    text = "".join(f"line {number} ä\n" + "\n" * (number % 3 == 0) for number in range(37))
    path = tmp_path / "a.txt"
    path.write_text(text, encoding="utf-8")
    source = files(Stream(), train=str(path), validation_share=0.1, split="last", text_unit=unit)
    border = int(len(text) * 0.9)
    assert "".join(texts(source, "train")) == text[:border]
    assert "".join(texts(source, "validation")) == text[border:]


def test_no_share_no_validation(table):
    assert files(train=table, validation_share=0).splits == ("train",)
    assert files(test=table).splits == ("test",)
    assert files(train=table, test=table).splits == ("train", "validation", "test")


def test_one_row_cannot_be_split(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\nalone,good\n")
    with pytest.raises(ValueError, match="one training row cannot be split: set data.validation=FILE, or data.validation_share=0"):
        texts(files(train=str(path)), "train")
    path.write_text("text,label\nalone,good\nlast,good\n")
    with pytest.raises(ValueError, match="2 training rows cannot be split: set data.validation=FILE"):
        texts(files(train=str(path), test_share=0.1), "test")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"validation_share": 1.0}, "validation_share=1.0 must be in \\[0, 1\\)"),
        ({"test_share": -0.1}, "test_share=-0.1 must be in \\[0, 1\\)"),
        ({"validation_share": 0.5, "test_share": 0.5}, "validation_share=0.5 and data.test_share=0.5 must sum to less than 1"),
        ({"limit": 0}, "limit=0 must be at least 1"),
        ({"folds": 5}, "data.folds=5.*data.fold=1"),
        ({"fold": 5}, "data.fold=5"),
        ({"folds": 5, "fold": 6}, "data.fold=6 must be from 1 to data.folds=5"),
        ({"folds": 5, "fold": 0}, "data.fold=0 must be from 1 to data.folds=5"),
        ({"folds": 1, "fold": 1}, "data.folds=1 must be at least 2"),
        ({"folds": 2, "fold": 1, "test_share": 0.1}, "data.test_share=0, not 0.1"),
        ({"folds": 2, "fold": 1, "validation_share": 0.5}, "data.validation_share=0.5"),
        ({"folds": 2, "fold": 1, "split": "last"}, "data.split=random"),
    ],
)
def test_values_that_make_no_sense(table, values, message):
    with pytest.raises(ValueError, match=message):
        files(train=table, **values)


def test_builtin_rows_come_from_the_format():
    source = BuiltinData(Labeled(), 3, limit=5, batches=Part("batches/rows"))
    assert source.splits == ("train", "validation", "test")
    everything = [(row, f"built-in test rows, row {number}") for number, row in enumerate(Labeled().builtin("test", 3), 1)]
    assert is_sample(list(source.rows("test")), everything, 5)
    assert source.fingerprint("train") != BuiltinData(Labeled(), 4, limit=5, batches=Part("batches/rows")).fingerprint("train")


# -- labels ----------------------------------------------------------------------------------------------------------------


class Several(Format):
    """A text and any number of labels."""

    columns = ("text", "label")

    def row_labels(self, row):
        return row["label"].split()


def labeled(tmp_path, counts, format=None, **values):
    """A source of rows in the order of their labels. counts: labels of a row -> number of such rows."""
    path = tmp_path / "labels.csv"
    lines = [f"text {number} {labels},{labels}" for labels, count in counts.items() for number in range(count)]
    path.write_text("\n".join(["text,label", *lines, ""]))
    seed = values.pop("seed", 0)
    return FilesData(format or Several(), seed, train=str(path), batches=Part("batches/rows"), **values)


def counted(source, split):
    """Number of rows of each set of labels."""
    return Counter(row["label"] for row, _ in source.rows(split))


@pytest.mark.parametrize("seed", range(5))
def test_each_label_has_its_share_in_every_split(tmp_path, seed):
    counts = {"many": 500, "some": 60, "few": 20}
    source = labeled(tmp_path, counts, validation_share=0.1, test_share=0.2, seed=seed)
    found = {split: counted(source, split) for split in source.splits}
    assert [sum(found[split].values()) for split in source.splits] == [580 - 58 - 116, 58, 116]
    for label, count in counts.items():
        assert abs(found["test"][label] - 0.2 * count) <= 1.5 and abs(found["validation"][label] - 0.1 * count) <= 1.5


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "counts",
    [
        {"common": 100, "other": 80, **{f"rare {number}": 1 for number in range(120)}},  # a long tail
        {"a": 30, "b": 30, "a b": 20, "a rare": 1, "b odd rare": 1, "": 40},  # several labels, one in two rows alone
        {"pos": 55, "neg": 3, "odd": 2},
    ],
    ids=["long tail", "several", "rare"],
)
def test_every_label_stays_in_training(tmp_path, counts, seed):
    source = labeled(tmp_path, counts, validation_share=0.1, test_share=0.1, seed=seed)
    found = {split: counted(source, split) for split in source.splits}
    labels = {label for row in counts for label in row.split()}
    assert labels == {label for row in found["train"] for label in row.split()}
    assert sum(found.values(), Counter()) == Counter({row: count for row, count in counts.items() if count})
    total = sum(counts.values())
    assert sum(found["validation"].values()) == sum(found["test"].values()) == round(total * 0.1)


def test_a_split_is_smaller_where_labels_would_be_lost(tmp_path):
    counts = {f"label{number}": 1 for number in range(90)} | {"common": 10}
    source = labeled(tmp_path, counts, validation_share=0.2)
    assert counted(source, "validation") == {"common": 9}
    data = prepare(labeled(tmp_path, counts, Labels(), validation_share=0.2), BytesTokenizer(), Labels(), 64)
    note = data.source.split_note("validation", data.sizes)
    assert "fewer than 0.2 of them, so that each label keeps a row for training" in note
    assert data.source.split_note("train", data.sizes) == ""
    assert counted(labeled(tmp_path, dict.fromkeys("abc", 1), validation_share=0.4), "validation").total() == 1  # it cannot be kept


def test_folds_are_equal_and_disjoint_and_have_every_label_in_its_share(tmp_path):
    tests = []
    for fold in range(1, 6):
        source = labeled(tmp_path, {"most": 60, "some": 25, "rare": 5}, folds=5, fold=fold, validation_share=0.1)
        parts = {split: texts(source, split) for split in source.splits}
        assert {split: len(part) for split, part in parts.items()} == {"train": 63, "validation": 9, "test": 18}
        assert counted(source, "test") == {"most": 12, "some": 5, "rare": 1}
        assert len({text for part in parts.values() for text in part}) == 90
        tests += parts["test"]
    assert len(set(tests)) == len(tests) == 90


def test_folds_are_the_same_for_every_seed_and_have_caches_of_their_own(tmp_path):
    def source(fold, seed):
        return labeled(tmp_path, {"a": 20, "b": 10}, folds=3, fold=fold, seed=seed)

    assert texts(source(2, 0), "test") == texts(source(2, 1), "test") != texts(source(1, 0), "test")
    assert texts(source(2, 0), "validation") != texts(source(2, 1), "validation")
    assert source(1, 0).fingerprint("train") != source(2, 0).fingerprint("train")


class Labels(Labeled):
    def row_labels(self, row):
        return [row["label"]]

    def encode(self, row, tokenizer, spec):
        return {"ids": tokenizer.encode(row["text"]), "label": spec.labels.index(row["label"]) if row["label"] in spec.labels else -1}


class Refusing(Labels):
    unseen_labels = "refuse"


def test_labels_are_counted_for_each_split(tmp_path):
    (tmp_path / "test.csv").write_text("text,label\na,pos\nb,new\nc,new\n")
    values = {"test": str(tmp_path / "test.csv"), "validation_share": 0.25}
    data = prepare(labeled(tmp_path, {"pos": 6, "neg": 6}, Labels(), **values), BytesTokenizer(), Labels(), 64)
    assert data.labels["test"] == {"new": 2, "pos": 1}
    assert sum((Counter(data.labels[split]) for split in ("train", "validation")), Counter()) == {"neg": 6, "pos": 6}
    with pytest.raises(UserError, match=r"test.csv, line 3: label 'new' does not occur in the training rows .*; they have 'neg', 'pos'"):
        prepare(labeled(tmp_path, {"pos": 6, "neg": 6}, Refusing(), **values), BytesTokenizer(), Refusing(), 64)


def test_a_training_row_of_a_resumed_run_has_labels_of_the_run(tmp_path):
    data = prepare(labeled(tmp_path, {"pos": 6, "neg": 6}, Labels()), BytesTokenizer(), Labels(), 64)
    data.tokenizer.save(tmp_path / "tokenizer.json")
    data.spec.save(tmp_path / "data_spec.json")
    changed = labeled(tmp_path, {"pos": 6, "nag": 6}, Labels(), validation_share=0)
    with pytest.raises(UserError, match=r"line 8: label 'nag' does not occur in the training rows \(did you mean 'neg'\?\)"):
        prepare(changed, BytesTokenizer(), Labels(), 64, tmp_path)


# -- samples ---------------------------------------------------------------------------------------------------------------


def numbers(source, split):
    return [int(text.split()[1]) for text in texts(source, split)]


@pytest.mark.parametrize("values", [{"validation_share": 0}, {"validation_share": 0.2}, {"validation_share": 0.2, "split": "last"}])
def test_a_limit_is_a_sample_in_the_order_of_the_rows(table, values):
    whole, limited = (files(train=table, limit=limit, **values) for limit in (None, 10))
    for split in limited.splits:
        assert is_sample(numbers(limited, split), numbers(whole, split), 10)
        assert numbers(limited, split) == numbers(files(train=table, limit=10, **values), split)
        assert numbers(files(train=table, limit=1000, **values), split) == numbers(whole, split)


def test_the_sample_depends_on_the_seed_but_not_for_the_test(table):
    def sampled(split, seed):
        source = FilesData(Labeled(), seed, train=table, validation=table, test=table, limit=10, batches=Part("batches/rows"))
        return numbers(source, split), source.fingerprint(split)

    assert sampled("test", 0) == sampled("test", 1)
    for split in ("train", "validation"):
        (one, first), (other, second) = sampled(split, 0), sampled(split, 1)
        assert one != other and first != second
    assert sampled("train", 0)[0] != sampled("validation", 0)[0]


def test_of_running_text_the_sample_is_successive_rows(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("".join(f"line {number}\n" for number in range(100)))
    found = numbers(files(Stream(), train=str(path), limit=10, validation_share=0), "train")
    assert found == list(range(found[0], found[0] + 10)) and found[0] > 0


# -- options of one split --------------------------------------------------------------------------------------------------


def test_the_last_share_of_a_text_that_has_options_of_its_own(tmp_path):
    path = tmp_path / "a.md"
    path.write_text("0123456789" * 10, encoding="utf-16")
    own = {"path": str(path), "kind": "text", "text_unit": "file", "encoding": "utf-16"}
    source = files(Stream(), train=own, validation_share=0.05, split="last")
    assert [texts(source, split) for split in source.splits] == [["0123456789" * 9 + "01234"], ["56789"]]


def test_options_of_one_split_change_its_fingerprint_alone(table):
    def fingerprints(test):
        source = files(train=table, test=test)
        return source.fingerprint("train"), source.fingerprint("test")

    named = {"path": table, "columns": {"text": "label", "label": "text"}}
    (train, test), (other_train, other_test) = fingerprints(table), fingerprints(named)
    assert train == other_train and test != other_test
    assert [row["label"] for row, _ in files(train=table, test=named).rows("test")][:2] == ["text 0", "text 1"]
