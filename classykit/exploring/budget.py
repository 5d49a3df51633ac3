"""Limits for what a model may cost: parameters, MACs, and the peak memory of a batch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from classykit.errors import ClassyKitError, ConfigError, first_line, quoted, suggest
from classykit.inspecting.report import Inspection

MODES = ("inference", "training")
LIMITS = {"params": "parameters", "macs": "MACs", "memory": "memory"}
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_AMOUNT = re.compile(r"(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)\s*([kmgt]?i?)(b?)", re.IGNORECASE)


def amount(said: Any, what: str = "a limit") -> int | None:
    """A limit as people write it; None for nothing written.

    >>> amount("25M"), amount("1.5 G"), amount("2 GB"), amount(300e6), amount("")
    (25000000, 1500000000, 2000000000, 300000000, None)
    """
    if said is None or (isinstance(said, str) and not said.strip()):
        return None
    number: float = math.nan
    if isinstance(said, str):
        read = _AMOUNT.fullmatch(said.strip())
        if read is not None and (unit := read[2].lower()) in _UNITS:
            number = float(read[1]) * _UNITS[unit]
    elif isinstance(said, (int, float)) and not isinstance(said, bool):
        number = said
    if not 1 <= number < 1e18:  # and no NaN
        raise ConfigError(f'{what} is an amount such as "25M", "1.5 G", "2 GB" or 300e6, not {quoted(said)}.')
    return round(number)


@dataclass(frozen=True)
class Budget:
    """What a model may cost.

    Attributes:
        params, macs, memory: the most of each, memory in bytes; None for no limit.
        batch, mode: of the pass whose peak memory counts; ``mode`` is "inference" or "training".
    """

    params: int | None = None
    macs: int | None = None
    memory: int | None = None
    batch: int = 1
    mode: str = MODES[0]

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Budget:
        """A budget as people write it; ConfigError for what is none.

        >>> Budget.read({"params": "25M", "batch": 32}).params
        25000000
        """
        values, fields = dict(said), list(cls.__dataclass_fields__)
        for key in values:
            if key not in fields:
                raise ConfigError(f"A budget has no {quoted(key)}.{suggest(key, fields)} It has {', '.join(fields)}.")
        for key, words in LIMITS.items():
            values[key] = amount(values.get(key), f"A limit for {words}")
        batch = values.get("batch", 1)
        if isinstance(batch, str) and batch.strip().isdecimal():
            batch = int(batch)
        if type(batch) is not int or not 1 <= batch <= 2**20:
            raise ConfigError(f"The batch of a budget is a whole number from 1, not {quoted(batch)}.")
        if values.get("mode", MODES[0]) not in MODES:
            raise ConfigError(f"The mode of a budget is {' or '.join(MODES)}, not {quoted(values['mode'])}.")
        return cls(**{**values, "batch": batch})

    @property
    def values(self) -> dict[str, Any]:
        """All of it, as `read` takes it."""
        return asdict(self)

    @property
    def counts_memory(self) -> bool:
        """Whether peak memory was asked about."""
        return self.memory is not None or (self.batch, self.mode) != (1, MODES[0])


class Peak:
    """The peak memory of what was asked about last: a pass on the meta device takes its time, so it is made once."""

    def __init__(self) -> None:
        self._of: tuple[Any, ...] = ()
        self._found: tuple[int | None, str] = None, ""

    def of(self, inspection: Inspection, budget: Budget) -> tuple[int | None, str]:
        """(bytes, what they are made of); (None, why) where it cannot be estimated."""
        if not self._of or self._of[0] is not inspection or self._of[1:] != (budget.mode, budget.batch):
            try:
                peak = inspection.peak_memory(budget.mode, batch_size=budget.batch)
                found: tuple[int | None, str] = peak.total, str(peak)
            except ClassyKitError as error:
                found = None, first_line(error)
            self._of, self._found = (inspection, budget.mode, budget.batch), found
        return self._found
