"""The same network with random weights: what an architecture gives before it has learnt anything."""

from __future__ import annotations

import torch
from torch import nn

from classykit.contexts import as_usual
from classykit.copies import copied
from classykit.models.classy_model import Adapter, ClassyModel
from classykit.models.factory import build_model


def random_twin(model: nn.Module, seed: int = 0) -> nn.Module:
    """A copy of ``model`` with fresh random weights, in eval mode; the model and the random state are left as they are.

    A model of this kit is built anew from its config, by its family's own initialisation. Of any other each layer's
    ``reset_parameters`` is called; what no layer resets (position embeddings, say) is drawn from a normal distribution
    with the mean and spread that it has.

    >>> layer = nn.Linear(2, 3)
    >>> bool((random_twin(layer).weight == layer.weight).any())
    False
    """
    reference = next(model.parameters(), torch.empty(0))
    cuda = [reference.device.index] if reference.is_cuda else []
    with torch.random.fork_rng(devices=cuda), as_usual():
        torch.manual_seed(seed)
        if isinstance(model, ClassyModel) and not isinstance(model, Adapter):
            config = {key: value for key, value in model.config.items() if key != "heads"}
            twin: nn.Module = build_model(config)
            return twin.to(reference.device, reference.dtype).eval()
        twin = copied(model, {})
        _draw(twin)
        return twin.eval()


def _draw(twin: nn.Module) -> None:
    before = {name: p.detach().clone() for name, p in twin.named_parameters()}
    for module in twin.modules():
        for name in ("reset_running_stats", "reset_parameters"):
            reset = getattr(module, name, None)
            if callable(reset):
                reset()
    with torch.no_grad():
        for name, p in twin.named_parameters():
            if torch.equal(p, before[name]) and p.is_floating_point() and p.numel() > 1 and p.std() > 0:
                p.copy_(torch.randn(p.shape).to(p) * p.std() + p.mean())
