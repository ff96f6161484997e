"""Generated problems: each output is the right one by an independent count, and no input is in two splits."""

from random import Random

import pytest

from framework.errors import UserError
from plugins.transduction.builtin import generated
from plugins.transduction.data import TransductionFormat
from plugins.transduction.problems import PROBLEMS

SYMBOLS = 40


def rows(problem: str, lengths: tuple[int, ...] = (4, 7, 12), count: int = 60) -> list[tuple[int, dict]]:
    random = Random(0)
    return [(length, PROBLEMS[problem](random, length, SYMBOLS)) for _ in range(count) for length in lengths]


def test_recall_asks_for_some_of_its_keys_and_gives_them():
    for length, row in rows("recall"):
        shown, asked = row["input"].split(), row["output"].split()
        values = dict(zip(shown[::2], shown[1::2], strict=True))
        assert len(values) == length and set(asked[::2]) <= set(values) and len(asked) == 2 * length
        assert [values[key] for key in asked[::2]] == asked[1::2]
        assert [asked[number] for number in row["given"]] == asked[::2]


def test_copies():
    for length, row in rows("copying"):
        assert row["output"] == row["input"] and len(row["input"].split()) == length
    for length, row in rows("selective_copying"):
        words = row["input"].split()
        assert len(words) == 3 * length and [word for word in words if word != "."] == row["output"].split()


def test_sums():
    for length, row in rows("parity"):
        assert len(row["input"].split()) == length and row["output"] == ("odd" if row["input"].count("1") % 2 else "even")
    for length, row in rows("modular_addition"):
        numbers = list(map(int, row["input"].split()))
        assert len(numbers) == length and max(numbers) < SYMBOLS and int(row["output"]) == sum(numbers) % SYMBOLS
    assert {row["output"] for _, row in rows("parity")} == {"even", "odd"}


def test_brackets_are_closed():
    for length, row in rows("dyck"):
        text = "".join((row["input"] + row["output"]).split())
        assert len(row["input"].split()) == length and row["output"]
        while text:
            shorter = text.replace("()", "").replace("[]", "")
            assert shorter != text
            text = shorter


@pytest.mark.parametrize("problem", PROBLEMS)
def test_no_input_is_in_two_splits_and_the_test_has_its_lengths(problem):
    format = TransductionFormat(problem=problem, train_length=9, test_lengths=[10, 12], builtin_rows=300, symbols=30)
    splits = {split: list(format.builtin(split, seed=0)) for split in ("train", "validation", "test")}
    inputs = {split: {row["input"] for row in rows} for split, rows in splits.items()}
    assert not inputs["train"] & (inputs["validation"] | inputs["test"]) and not inputs["validation"] & inputs["test"]
    assert {row["kind"] for row in splits["train"]} == {f"length {length}" for length in range(4, 10)}
    assert [row["kind"] for row in splits["test"]].count("length 12") == 150
    assert splits["test"] == list(format.builtin("test", seed=1))


def test_too_few_inputs_are_refused():
    with pytest.raises(UserError, match="modular_addition of length 1 has too few inputs.*symbols"):
        list(generated("modular_addition", "test", 1, [1], symbols=1))
