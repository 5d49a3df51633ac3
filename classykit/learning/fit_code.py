"""The loop of `fit_heads` as plain PyTorch, to read, run and change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from classykit.python_code import literal

if TYPE_CHECKING:
    from classykit.learning.fit import Fit

_BEGIN = """\
import torch
import torch.nn.functional as F

import classykit as ck

# yours: model, with its heads; x, (N, C, H, W); targets, {{unique_id: (N,) class numbers, -100 where not known}}
torch.manual_seed({seed})
order = torch.randperm(len(x), generator=torch.Generator().manual_seed({seed}))
held_out, learn_from = order[:{held_out}], order[{held_out}:]
"""

_HEADS = """
blocks = {blocks}
layers = {layers}  # in each head the layer that features come to first
channels = {channels}  # which dimension of a block's features
heads = {{head.unique_id: head for of in model.get_heads().values() for head in of if head.unique_id in blocks}}

# The trunk is in eval mode and gets no gradients: its features are computed once.
parts = [ck.capture(model, part, set(blocks.values())) for part in x.split({batch_size})]
features = {{block: torch.cat([part[block] for part in parts]) for block in parts[0]}}  # (N, C, ...)

# Features of some blocks are a thousand times as large as those of others: heads learn from standardised ones.
mean, std = {{}}, {{}}
standardised = {{}}
for name, block in blocks.items():
    over = [i for i in range(features[block].ndim) if i != channels[name]]
    mean[name] = features[block][learn_from].mean(over, keepdim=True)
    std[name] = features[block][learn_from].std(over, keepdim=True).clamp_min(1e-6)
    standardised[name] = (features[block] - mean[name]) / std[name]

optimizer = torch.optim.Adam([p for head in heads.values() for p in head.parameters()], lr={lr})
for epoch in range({epochs}):
    for head in heads.values():
        head.train()
    shuffle = torch.randperm(len(learn_from), generator=torch.Generator().manual_seed({seed} + 1 + epoch))
    for numbers in learn_from[shuffle].split({batch_size}):
        loss = 0
        for name, head in heads.items():
            loss = loss + F.cross_entropy(head(standardised[name][numbers]), targets[name][numbers], ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

# W (x - mean) / std + b = (W / std) x + (b - W mean / std): from now on the heads take features as they are.
with torch.no_grad():
    for name, head in heads.items():
        head.eval()
        layer = head.get_submodule(layers[name])
        shape = (1, -1, *(1 for _ in layer.weight.shape[2:]))
        layer.weight /= std[name].reshape(shape)
        layer.bias -= (layer.weight * mean[name].reshape(shape)).flatten(1).sum(1)

accuracy = {{}}
with torch.no_grad():
    for name, head in heads.items():
        known = held_out[targets[name][held_out] != -100]
        accuracy[name] = (head(features[blocks[name]][known]).argmax(1) == targets[name][known]).float().mean().item()
print(accuracy)
"""

_WHOLE = """
optimizer = torch.optim.Adam(model.parameters(), lr={lr})
for epoch in range({epochs}):
    model.train()
    shuffle = torch.randperm(len(learn_from), generator=torch.Generator().manual_seed({seed} + 1 + epoch))
    for numbers in learn_from[shuffle].split({batch_size}):
        scores = model(x[numbers])
        scores = scores if isinstance(scores, dict) else {{name: scores for name in targets}}
        loss = sum(F.cross_entropy(scores[name], targets[name][numbers], ignore_index=-100) for name in targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

# Running means and variances lag far behind in so few steps: they are taken anew.
torch.optim.swa_utils.update_bn(x[learn_from].split({batch_size}), model)
model.eval()
accuracy = {{}}
with torch.no_grad():
    for name in targets:
        known = held_out[targets[name][held_out] != -100]
        found = model(x[known])
        found = found[name] if isinstance(found, dict) else found
        accuracy[name] = (found.argmax(1) == targets[name][known]).float().mean().item()
print(accuracy)
"""


def fit_code(fit: Fit) -> str:
    """Source that does what `fit_heads` did, for heads whose first layer is a linear one with a bias.

    >>> from classykit.learning.fit import Fit, HeadFit
    >>> fit = Fit("net", {"a": HeadFit("block0-0", layer="fc")}, 5, 0.01, 32, 0, 0.2, False)
    >>> "heads take features as they are" in fit_code(fit)
    True
    """
    heads = fit.heads.items()
    return (_BEGIN + (_WHOLE if fit.trunk else _HEADS)).format(
        seed=fit.seed, held_out=fit.held_out, lr=fit.lr, epochs=fit.epochs, batch_size=fit.batch_size,
        blocks=literal({name: head.block for name, head in heads}),
        layers=literal({name: head.layer for name, head in heads}),
        channels=literal({name: head.channel_dim for name, head in heads}),
    )  # fmt: skip
