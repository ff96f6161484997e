"""Average: the same for any batches and ranks."""

import math
import random

import torch

from framework.metrics.ratio import Average


def average(*pieces: list[float]) -> float:
    metric = Average()
    for piece in pieces:
        metric.update(piece)
    return metric.compute().item()


def test_order_and_batches_change_no_bit():
    draw = random.Random(0)
    values = [draw.uniform(-1, 1) * 10 ** draw.randint(-8, 8) for _ in range(500)]
    shuffled = draw.sample(values, 500)
    assert average(values) == average(shuffled[:7], [], shuffled[7:]) == math.fsum(values) / 500


def test_without_rows_it_is_nan():
    assert math.isnan(average())


def test_gathered_values_are_one_tensor():
    metric = Average()
    metric.totals, metric.count = torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64), torch.tensor(3)
    assert metric.compute().item() == 3.0
