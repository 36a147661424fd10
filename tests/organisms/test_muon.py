"""Muon in single precision against torch's own in bfloat16, and against the singular values."""

import pytest
import torch

from avnb.organisms.muon import Muon, orthogonal

SHAPES = [(128, 128), (64, 128), (128, 384), (128, 128), (7, 3)]


@pytest.mark.parametrize("momentum", [0.0, 0.95])
def test_its_steps_are_those_of_torch_but_for_rounding(momentum):
    torch.manual_seed(0)
    start = [torch.randn(shape) for shape in SHAPES]
    ours = [torch.nn.Parameter(matrix.clone()) for matrix in start]
    theirs = [torch.nn.Parameter(matrix.clone()) for matrix in start]
    options = {"lr": 0.05, "weight_decay": 0.3, "momentum": momentum}
    optimizers = Muon(ours, **options), torch.optim.Muon(theirs, adjust_lr_fn="match_rms_adamw", **options)
    for _ in range(4):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape)
            b.grad = a.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for before, a, b in zip(start, ours, theirs, strict=True):
        assert (a - b).norm() < 0.05 * (b - before).norm()


def test_a_matrix_without_gradient_stays():
    still, moved = torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2, 2))
    moved.grad = torch.eye(2)
    Muon([still, moved], lr=0.1).step()
    assert still.equal(torch.ones(2, 2))
    assert not moved.equal(torch.ones(2, 2))


def test_singular_values_come_near_one_except_those_near_zero():
    torch.manual_seed(0)
    for shape in SHAPES:
        matrices = torch.randn(3, *shape)
        before, after = torch.linalg.svdvals(matrices), torch.linalg.svdvals(orthogonal(matrices))
        large = before > 0.05 * before.amax(-1, keepdim=True)
        assert after[large].min() > 0.5, shape
        assert after.max() < 1.3, shape
