"""Muon in single precision.

`torch.optim.Muon` orthogonalises in bfloat16. A processor without instructions for it emulates them: most of a training
step of a small organism went there. In float32, matrices of one shape together, it costs less than the backward pass.
The organisms that ship, and those of the sweep of doses, were trained with torch's: training them anew ends in slightly
other weights.

>>> matrix = torch.nn.Parameter(torch.eye(3, 2))
>>> optimizer = Muon([matrix], lr=0.1, weight_decay=0.0)
>>> matrix.grad = torch.tensor([[3.0, 0.0], [0.0, 3.0], [0.0, 0.0]])
>>> optimizer.step()
>>> bool((matrix.diagonal() < 1).all())
True
"""

from itertools import groupby

import torch
from torch.optim import Optimizer

_COEFFICIENTS = 3.4445, -4.775, 2.0315  # of the quintic whose slope at zero is largest
_STEPS = 5


class Muon(Optimizer):
    """What `torch.optim.Muon(..., adjust_lr_fn="match_rms_adamw")` does, in the precision of the parameters.

    Args:
        params: matrices [rows, columns].
        lr: learning rate; a step is as long as one of AdamW with it.
        weight_decay: share of the weights that a step with `lr` 1 takes off.
        momentum: of Nesterov.
    """

    def __init__(self, params, lr, weight_decay=0.01, momentum=0.95):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        """One step along the orthogonalised gradients; computes them first if `closure` does."""
        if closure is not None:
            with torch.enable_grad():
                closure()
        for group in self.param_groups:
            learnt = sorted((p for p in group["params"] if p.grad is not None), key=lambda p: p.shape)
            for shape, some in groupby(learnt, key=lambda p: p.shape):
                self._step(list(some), 0.2 * max(shape) ** 0.5, **group)

    def _step(self, parameters, scale, lr, weight_decay, momentum, **_):
        directions = []
        for p in parameters:
            average = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
            average.lerp_(p.grad, 1 - momentum)
            directions.append(p.grad.lerp(average, momentum))
        for p, direction in zip(parameters, orthogonal(torch.stack(directions)), strict=True):
            p.mul_(1 - lr * weight_decay).sub_(direction, alpha=lr * scale)


def orthogonal(matrices):
    """Each of the matrices [n, rows, columns] with all its singular values brought near 1."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
