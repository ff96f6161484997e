"""Orthogonalization of a batch of matrices against the iteration for one matrix after the other, and Muon with it against torch's."""

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from framework.training import orthogonalization
from framework.training.orthogonalization import BatchedMuon, orthogonalize
from tests.precision import close, rounds_like

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
SHAPES = [(6, 6), (4, 9), (9, 4), (6, 6), (4, 9), (2, 9), (6, 6)]


def matrices(dtype=torch.float64):
    random = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=random, dtype=torch.float64).to(dtype) for shape in SHAPES]


def one_after_the_other(given, steps=5):
    """The reference code of the paper: https://github.com/KellerJordan/Muon/blob/f90a42b28e00b8d9d2d05865fe90d9f39abcbcbd/muon.py"""
    a, b, c = COEFFICIENTS
    found = []
    for matrix in given:
        x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
        x = x / (x.norm() + 1e-7)
        for _ in range(steps):
            gram = x @ x.T
            x = a * x + (b * gram + c * gram @ gram) @ x
        found.append(x.T if matrix.shape[0] > matrix.shape[1] else x)
    return found


@pytest.mark.parametrize("at_once", [1, 80, 10**6])
def test_a_batch_is_one_matrix_after_the_other(at_once, monkeypatch):
    monkeypatch.setattr(orthogonalization, "AT_ONCE", at_once)
    for got, wanted in zip(orthogonalize(matrices(), 5, COEFFICIENTS, 1e-7), one_after_the_other(matrices()), strict=True):
        assert (got - wanted).abs().max() < 1e-6  # they guard the division by 0 in two ways


@pytest.mark.parametrize("bf16", [False, True])
def test_it_rounds_as_one_matrix_after_the_other(bf16, monkeypatch):
    monkeypatch.setattr(orthogonalization, "multiplies_bfloat16", lambda: bf16)
    dtype = torch.bfloat16 if bf16 else torch.float32
    low = matrices(dtype)
    got = orthogonalize([each.float() for each in low], 5, COEFFICIENTS, 1e-7)
    rounds_like(got, one_after_the_other(low), one_after_the_other([each.double() for each in low]))


def test_singular_values_are_about_one():
    for result in orthogonalize(matrices(), 5, COEFFICIENTS, 1e-7):
        singular = torch.linalg.svdvals(result)
        assert 0.4 < singular.min() and singular.max() < 1.3


def test_zeros_stay_zeros():
    assert not orthogonalize([torch.zeros(3, 4)], 5, COEFFICIENTS, 1e-7)[0].any()


@pytest.mark.parametrize("nesterov", [False, True])
def test_muon_is_torchs(nesterov, monkeypatch):
    """torch's is computed in bfloat16; here both are in float64."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.clone())
    ours, theirs = ([nn.Parameter(matrix) for matrix in matrices()] for _ in range(2))
    options = {"lr": 0.02, "weight_decay": 0.1, "nesterov": nesterov, "adjust_lr_fn": "match_rms_adamw"}
    one, two = BatchedMuon(ours, **options), torch.optim.Muon(theirs, **options)
    for number in range(3):
        for parameter in (*ours, *theirs):
            parameter.grad = (parameter.detach() * (number + 1)).cos()
        ours[1].grad = theirs[1].grad = None  # a parameter that the loss does not use
        one.step()
        two.step()
    for got, wanted in zip(ours, theirs, strict=True):
        close(got, wanted)
    assert ours[1].equal(matrices()[1])


@pytest.fixture
def mesh():
    """A mesh of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


def test_sharded_matrices_stay_sharded(mesh):
    given = [distribute_tensor(matrix, mesh, [Shard(0)]) for matrix in matrices()]
    for got, matrix, wanted in zip(
        orthogonalize(given, 5, COEFFICIENTS, 1e-7), given, orthogonalize(matrices(), 5, COEFFICIENTS, 1e-7), strict=True
    ):
        assert isinstance(got, DTensor) and got.placements == matrix.placements
        close(got.full_tensor(), wanted)
