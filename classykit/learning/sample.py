"""`sample`: networks of a design space, within a budget."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np

from classykit import formats
from classykit.contexts import verb
from classykit.errors import ConfigError, quoted
from classykit.learning.space import Space
from classykit.models.cost_formulas import cost_of
from classykit.models.factory import MODELS

_MISSES = 20_000  # draws in a row that are out of the budget


@verb
def sample(
    space: Space,
    n: int,
    macs: tuple[float, float] | None = None,
    params: tuple[float, float] | None = None,
    *,
    seed: int = 0,
    refused: Counter[str] | None = None,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Draw ``n`` different networks of a space, each of which can be built and lies within the budget.

    Args:
        space: a `Space`.
        n: how many.
        macs, params: (low, high) of the multiply-accumulates and parameters that `classykit.inspect` counts, of one
            input of the network's own size.
        seed: another seed, other networks; the first are the same for any ``n``. The random state is left as it is.
        refused: counts, by their reason, the draws that were not taken: "no network" can be built of them, "out of the
            budget", "drawn before".
        progress: show a bar when it takes longer than a second. Default True.

    Returns configs, as `classykit.build_model` takes them.

    Raises ConfigError where the space has no such networks, or not so many, and says what it has.

    >>> from classykit import inspect
    >>> configs = sample(Space("regnet"), 2, macs=(200e6, 800e6))
    >>> [200e6 <= inspect(config).macs <= 800e6 for config in configs]
    [True, True]
    """
    if not isinstance(space, Space):
        raise ConfigError(f"sample takes a classykit.Space, not {quoted(space)}.")
    if type(n) is not int or n < 1:
        raise ConfigError(f"n is a positive number of networks, not {quoted(n)}.")
    if type(seed) is not int or seed < 0:
        raise ConfigError(f"seed is a whole number from 0 on, not {quoted(seed)}.")
    budget = {what: _range(what, of) for what, of in (("macs", macs), ("params", params)) if of is not None}
    from tqdm.auto import tqdm

    random = np.random.Generator(np.random.PCG64(seed))
    found: dict[str, dict[str, Any]] = {}
    seen: dict[str, list[float]] = {what: [] for what in budget}
    misses = 0
    with tqdm(total=n, unit="network", delay=1, leave=False, disable=not progress) as bar:
        while len(found) < n:
            config, cfg = space.draw_and_read(random, refused)
            key = json.dumps(config, sort_keys=True)
            if key not in found and _fits(space, cfg, budget, seen):
                found[key], misses = config, 0
                bar.update()
                continue
            misses += 1
            if refused is not None:
                refused["drawn before" if key in found else "out of the budget"] += 1
            if misses >= _MISSES:
                raise ConfigError(_nothing_found(space, n, len(found), seen, budget))
    return list(found.values())


def _fits(space: Space, cfg: Any, budget: dict[str, tuple[float, float]], seen: dict[str, list[float]]) -> bool:
    if not budget:
        return True
    cost = cost_of(MODELS[space.name].cls, cfg)
    assert cost is not None  # every family that has a space has a formula
    for what in budget:
        seen[what].append(getattr(cost, what))
    return all(low <= getattr(cost, what) <= high for what, (low, high) in budget.items())


def _nothing_found(
    space: Space, n: int, found: int, seen: dict[str, list[float]], budget: dict[str, tuple[float, float]]
) -> str:
    if not any(seen.values()):
        return f"The last {_MISSES:,} draws were drawn before: the space holds about {found} networks, not {n}."
    words = []
    for what, (low, high) in budget.items():
        q: np.ndarray = np.quantile(seen[what], [0.05, 0.95])
        asked, have = (f"{formats.count(least)} to {formats.count(most)}" for least, most in ((low, high), q))
        words.append(f"{what} of {asked} were asked for, and nine of ten have {have}")
    return f"{found} of {n} networks were found; the next {_MISSES:,} draws do not fit: {'; '.join(words)}. {space!r}"


def _range(what: str, of: Any) -> tuple[float, float]:
    numbers = isinstance(of, (tuple, list)) and len(of) == 2 and all(
        isinstance(x, (int, float)) and not isinstance(x, bool) for x in of)  # fmt: skip
    if not numbers or not 0 <= of[0] <= of[1]:
        raise ConfigError(f"{what} is (low, high), such as (200e6, 800e6), not {quoted(of)}.")
    return float(of[0]), float(of[1])
