"""Metrics of an evaluation, on the device where they are computed."""

import pytest
import torch

from framework.metrics.ratio import Average
from framework.training.evaluation import on_device
from plugins.classification.label_metric import LabelFigures
from plugins.classification.number_metric import NumberFigures


def gathered(metric):
    """The dtype of each tensor that the metric gathers from other ranks."""
    dtypes = []

    def gather(tensor, group):
        dtypes.append(tensor.dtype)
        return [tensor]

    metric._sync_dist(gather)
    return dtypes


@pytest.mark.parametrize(
    ("make", "values"),
    [
        (lambda: LabelFigures(["a"], several=False), (["a"], ["unseen"])),
        (NumberFigures, ([1.0], [2.0])),
        (Average, ([1.0],)),
    ],
)
def test_a_rank_without_values_gathers_tensors_of_the_same_type(make, values):
    without, with_values = (on_device(make(), torch.device("cpu")) for _ in range(2))
    with_values.update(*values)
    assert gathered(without) == gathered(with_values)
