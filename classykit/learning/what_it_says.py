"""What the figures of a probe say, in sentences that hold by what they were made from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from classykit.learning.linear import Accuracy

SPREADS = 2  # a difference is seen where it is larger than so many standard deviations of it


def sentences(
    blocks: Mapping[str, Accuracy], controls: Mapping[str, Any], tested: int = 0, untrained: bool = False
) -> list[str]:
    """At most four: where most is read off, what is left at the end, what training gives, what raw pixels give.

    Args:
        blocks: {block: what is read off it}, in forward order.
        controls: as `classykit.Probe` has them.
        tested: how many pictures a split is tested on; differences of less than one of them are none.
        untrained: whether the weights are random, as those of the control are.

    >>> few = {"stem": Accuracy(0.4, 0.01, spread=0.02), "last": Accuracy(0.9, 0.01, spread=0.02)}
    >>> print(*sentences(few, {"chance": Accuracy(0.1, 0.0), "pixels": Accuracy(0.6, 0.01, spread=0.02)}), sep="\\n")
    Most is read off last: 90.0 ± 2.0 %.
    No later block was read.
    Raw pixels give 60.0 ± 2.0 %: last is the first block that beats them.
    """
    if not blocks:
        return []
    if any(math.isnan(found.spread) for found in blocks.values()):
        return ["From one split nothing can be said of differences: ask for several."]
    names = list(blocks)
    best, last = max(names, key=lambda name: blocks[name].accuracy), names[-1]
    top, chance = blocks[best], controls.get("chance")
    if chance is not None and not is_seen(top, chance, tested):
        return [
            f"No difference seen between any block and guessing: at best, off {best}, {_share(top)}, against "
            f"{_share(chance)}."
        ]
    said = [_most(blocks, best, tested), _end(best, last, top, blocks[last], tested)]
    random = controls.get("random", {}).get(best)
    if random is not None:
        said.append(_training(best, top, random, tested, untrained))
    if "pixels" in controls:
        said.append(_pixels(blocks, controls["pixels"], tested))
    return said


def is_seen(one: Accuracy, other: Accuracy, tested: int = 0) -> bool:
    """Whether two accuracies differ by more than two standard deviations of the difference, and by a picture.

    >>> is_seen(Accuracy(0.9, 0.0, spread=0.03), Accuracy(0.8, 0.0, spread=0.04))
    False
    """
    spreads = [0.0 if math.isnan(found.spread) else found.spread for found in (one, other)]
    least = max(SPREADS * math.hypot(*spreads), 1 / tested if tested else 0.0)
    return abs(one.accuracy - other.accuracy) > least


def _most(blocks: Mapping[str, Accuracy], best: str, tested: int) -> str:
    alike = [name for name in blocks if name != best and not is_seen(blocks[name], blocks[best], tested)]
    which = f"{len(alike)} others, the first of them {alike[0]}" if len(alike) > 1 else "".join(alike)
    more = f"; no difference seen to {which}" if alike else ""
    return f"Most is read off {best}: {_share(blocks[best])}{more}."


def _end(best: str, last: str, top: Accuracy, end: Accuracy, tested: int) -> str:
    if best == last:
        return "No later block was read."
    if not is_seen(top, end, tested):
        return f"No difference seen between it and the end: {last} has {_share(end)}."
    return f"The end knows less: {_share(end)} is left at {last}."


def _training(best: str, top: Accuracy, random: Accuracy, tested: int, untrained: bool) -> str:
    difference, seen = f"{abs(top.accuracy - random.accuracy) * 100:.1f} points", is_seen(top, random, tested)
    way = "more" if random.accuracy > top.accuracy else "fewer"
    if untrained and seen:
        return f"This model is untrained: the random weights drawn beside it give {difference} {way} at {best}."
    if untrained:
        return f"This model is untrained: no difference seen at {best} to the random weights drawn beside it."
    if not seen:
        return f"No difference seen at {best} to random weights: they give {_share(random)} there."
    if way == "more":
        return f"Random weights give more at {best}: {_share(random)}, {difference} above these."
    return f"Training adds {difference} at {best}: random weights give {_share(random)}."


def _pixels(blocks: Mapping[str, Accuracy], pixels: Accuracy, tested: int) -> str:
    above = [
        name for name, found in blocks.items() if found.accuracy > pixels.accuracy and is_seen(found, pixels, tested)
    ]
    start = f"Raw pixels give {_share(pixels)}"
    if not above:
        return f"{start}: no block is seen to beat them."
    if len(above) == len(blocks) > 1:
        return f"{start}: every block beats them."
    return f"{start}: {above[0]} is the first block that beats them."


def _share(found: Accuracy) -> str:
    spread = "" if math.isnan(found.spread) else f" ± {found.spread * 100:.1f}"
    return f"{found.accuracy * 100:.1f}{spread} %"
