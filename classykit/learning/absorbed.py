"""Standardised features for a head that, once it has learnt from them, takes the plain ones: the layer absorbs it."""

from __future__ import annotations

import torch
from torch import nn

from classykit.hooks import hooks

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Standard:
    """Mean and spread of each channel of a head's features, and the head's first layer, which can take them in.

    W z + b with z = (x − μ) / σ is W' x + b' with W' = W / σ and b' = b − W μ / σ: so a head that learns from z can be
    turned into one of x, and back. Whether a head can (pooling by a mean may come first, nothing bent) is tried.

    Attributes:
        path: of the layer within the head; None where none takes it in, and features stay as they are.
        mean, spread: (C,); zeros and ones where nothing is taken in.
    """

    def __init__(self, head: nn.Module, features: torch.Tensor, dim: int):
        self.dim = dim
        over = [i for i in range(features.ndim) if i != dim]
        mean, spread = features.double().mean(over), features.double().std(over, correction=0)
        spread = torch.where(spread > 1e-6 * spread.max().clamp_min(1e-30), spread, 1.0)
        for path in _first_layers(head, features[:2]):
            for self.mean in (mean, torch.zeros_like(mean)):  # a layer without a bias takes in the scale alone
                self.path: str | None = path
                self.spread = spread
                if self._is_taken_in(head, features[:16]):
                    return
        self.path, self.mean, self.spread = None, torch.zeros_like(mean), torch.ones_like(spread)

    def of(self, x: torch.Tensor) -> torch.Tensor:
        """(x − μ) / σ by channel."""
        if self.path is None:
            return x
        shape = [-1 if i == self.dim else 1 for i in range(x.ndim)]
        return (x - self.mean.to(x).view(shape)) / self.spread.to(x).view(shape)

    def take_in(self, head: nn.Module) -> None:
        """A head of standardised features becomes one of plain ones."""
        self._turn(head, 1 / self.spread, -self.mean / self.spread)

    def take_out(self, head: nn.Module) -> None:
        """A head of plain features becomes one of standardised ones."""
        self._turn(head, self.spread, self.mean)

    def _turn(self, head: nn.Module, factor: torch.Tensor, shift: torch.Tensor) -> None:
        if self.path is None:
            return
        layer = head.get_submodule(self.path)
        assert isinstance(layer, _LAYERS)
        with torch.no_grad():
            weight = layer.weight.double()
            each = weight.flatten(2).sum(2) if weight.ndim > 2 else weight  # (out, C)
            if layer.bias is not None:
                layer.bias.add_((each @ shift.to(weight)).to(layer.bias))
            shape = (1, -1, *(1 for _ in range(weight.ndim - 2)))
            layer.weight.copy_(weight * factor.to(weight).view(shape))

    def _is_taken_in(self, head: nn.Module, x: torch.Tensor) -> bool:
        layer = head.get_submodule(self.path or "")
        before = {name: value.clone() for name, value in layer.state_dict().items()}
        with torch.no_grad():
            wanted = head(self.of(x))
            self.take_in(head)
            found = head(x)
        layer.load_state_dict(before)
        size = wanted.abs().max().clamp_min(1e-6)
        return bool((found - wanted).abs().max() <= 1e-3 * size)


def _first_layers(head: nn.Module, x: torch.Tensor) -> list[str]:
    """Paths of the layer with weights that runs first in ``head``, where it takes as many channels as there are."""
    ran: list[str] = []
    with hooks() as on, torch.no_grad():
        for path, module in head.named_modules():
            if isinstance(module, _LAYERS) and getattr(module, "groups", 1) == 1:
                on.before(module, lambda module, args, path=path: ran.append(path))
        head(x)
    return ran[:1]
