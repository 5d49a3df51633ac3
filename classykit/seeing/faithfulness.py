"""How far a map of evidence can be trusted: insertion and deletion (Petsiuk, Das and Saenko, RISE, BMVC 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from classykit.contexts import verb
from classykit.errors import ConfigError, ShapeError, quoted
from classykit.finding import Finding
from classykit.running.recording import record_paths
from classykit.tables import Cell, Column, Line, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from classykit.seeing.evidence import Evidence

_BATCH = 16


@dataclass(frozen=True, repr=False)
class Faithfulness(Finding):
    """What becomes of a class's probability as the places that a map names first are taken away, or shown alone.

    Attributes:
        deletion, insertion: (N, steps + 1), the probability as more and more of the picture is blurred, or restored
            from the blurred picture; the strongest evidence first.
        random_deletion, random_insertion: the same in a random order, to compare with.
        block: whose map it was.
    """

    name: str
    block: str
    deletion: torch.Tensor
    insertion: torch.Tensor
    random_deletion: torch.Tensor
    random_insertion: torch.Tensor

    @property
    def deletion_score(self) -> torch.Tensor:
        """(N,): area under the curve, from 0 to 1; the lower the better, and lower than in a random order."""
        return _area(self.deletion)

    @property
    def insertion_score(self) -> torch.Tensor:
        """(N,): area under the curve, from 0 to 1; the higher the better, and higher than in a random order."""
        return _area(self.insertion)

    def heading(self) -> str:
        return f"Insertion and deletion by the evidence of {self.block} in {self.name}, {len(self.deletion)} pictures"

    def table(self) -> Table:
        columns = [Column("area under the curve"), Column("by the map", right=True), Column("at random", right=True)]
        rows = (("insertion, higher is better", self.insertion, self.random_insertion),
                ("deletion, lower is better", self.deletion, self.random_deletion))  # fmt: skip
        cells = ((words, f"{_area(own).mean():.3f}", f"{_area(other).mean():.3f}") for words, own, other in rows)
        return Table(columns, [Line([*map(Cell, row)]) for row in cells])

    def plot(self) -> Figure:
        """The curves, averaged over the pictures: a matplotlib Figure that belongs to no pyplot window."""
        from classykit.plots.evidence import faithfulness_curves

        return faithfulness_curves(self)


@verb
def faithfulness(evidence: Evidence, block: str, steps: int = 16) -> Faithfulness:
    """Insertion and deletion by one map; see `Evidence.faithfulness`.

    >>> import classykit
    >>> net = classykit.build_model("efficientnet_lite0")
    >>> f = classykit.evidence(net, torch.rand(1, 3, 64, 64), target=3).faithfulness(steps=4)
    >>> f.deletion.shape, bool((f.insertion[:, -1] == f.deletion[:, 0]).all())
    (torch.Size([1, 5]), True)
    """
    if type(steps) is not int or not 1 <= steps <= 1000:
        raise ConfigError(f"steps is a number from 1 to 1000, not {quoted(steps)}.")
    look, maps = evidence.look, evidence.maps[block]
    if not isinstance(look.x, torch.Tensor) or look.images is None or maps.ndim != 3:
        raise ShapeError(f"Insertion and deletion are of pictures (N, C, H, W), which {evidence.name} was not given.")
    generator = torch.Generator().manual_seed(0)
    curves = [[], [], [], []]  # type: list[list[torch.Tensor]]
    for i, (x, values) in enumerate(zip(look.x, maps.float(), strict=True)):
        blurred = _blurred(x[None])[0]
        noise = torch.rand(values.shape, generator=generator).to(x.device)
        for order, (inserted, deleted) in ((values, curves[:2]), (noise, curves[2:])):
            shares = _ranks(F.interpolate(order[None, None], x.shape[-2:], mode="nearest")[0, 0])
            masks = torch.stack([shares < k / steps for k in range(steps + 1)])[:, None]  # (steps + 1, 1, H, W)
            # what is shown bit by bit begins with nothing and ends with the picture, and the other way round
            inserted.append(_probability(evidence, torch.where(masks, x, blurred), evidence.target[i]))
            deleted.append(_probability(evidence, torch.where(masks, blurred, x), evidence.target[i]))
    insertion, deletion, random_insertion, random_deletion = map(torch.stack, curves)
    return Faithfulness(evidence.name, block, deletion, insertion, random_deletion, random_insertion)


def _probability(evidence: Evidence, pictures: torch.Tensor, target: int) -> torch.Tensor:
    """(steps + 1,) probabilities of the class, by a softmax over the scores, on the CPU."""
    found = []
    for part in pictures.split(_BATCH):
        scores = record_paths(evidence.look.model, part, [evidence.path])[evidence.path].flatten(1)
        found.append(scores.float().softmax(1)[:, target].cpu())
    return torch.cat(found)


def _ranks(values: torch.Tensor) -> torch.Tensor:
    """The place of each pixel in the order of its value, the highest first: from 0 to just below 1."""
    order = values.flatten().argsort(descending=True, stable=True)
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order), device=order.device)
    return ranks.view_as(values) / len(order)


def _blurred(x: torch.Tensor) -> torch.Tensor:
    """Three passes of a moving mean, which is nearly a Gaussian: nothing is left to be recognised."""
    size = max(3, min(x.shape[-2:]) // 8 * 2 + 1)
    for _ in range(3):
        x = F.avg_pool2d(x, size, 1, size // 2, count_include_pad=False)
    return x


def _area(curve: torch.Tensor) -> torch.Tensor:
    return torch.trapezoid(curve, dx=1 / (curve.shape[1] - 1))
