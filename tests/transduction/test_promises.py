"""Transduction keeps the promises of tasks, with both families of models, also on two ranks."""

from framework.registry import Part
from framework.testing import TaskPromises

ROWS = [
    {"input": " ".join(words), "output": " ".join(reversed(words)), "kind": f"length {len(words)}"}
    for words in ("ab", "cde", "bcda", "ea", "dbc", "aabb", "ce")
]


class TestDecoder(TaskPromises):
    task = "task/transduction"
    rows = ROWS


class TestEncoderDecoder(TaskPromises):
    task = "task/transduction"
    model = Part("model/encoder_decoder", dim=16, num_heads=2, num_layers=2, dropout=0.0, max_length=128, initial_std=0.3)
    rows = [{**row, "given": [0]} if number % 2 else row for number, row in enumerate(ROWS)]
