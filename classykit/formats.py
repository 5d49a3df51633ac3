"""Figures for people: three significant digits and a unit."""

from __future__ import annotations

import math


def count(n: float, digits: int = 3) -> str:
    """4652008 -> "4.65 M"; 0 -> "0"."""
    return _scaled(n, 1000, ("", "k", "M", "G", "T", "P"), digits)


def size(n: float, digits: int = 3) -> str:
    """Bytes: 18608032 -> "18.6 MB" (powers of 1000, as disks and mockups say)."""
    return _scaled(n, 1000, ("B", "kB", "MB", "GB", "TB", "PB"), digits)


def seconds(t: float) -> str:
    """0.0312 -> "31 ms"."""
    if t < 1:
        ms = t * 1000
        return f"{ms:.2g} ms" if ms < 10 else f"{ms:.0f} ms"
    return f"{t:.1f} s" if t < 100 else f"{t:.0f} s"


def percent(share: float) -> str:
    """0.0019 -> "0.19 %"; 0.38 -> "38 %"."""
    p = share * 100
    if p == 0:
        return "0 %"
    return f"{p:.0f} %" if p >= 10 else f"{p:.1f} %" if p >= 1 else f"{p:.2f} %" if p >= 0.01 else "< 0.01 %"


def _scaled(n: float, base: int, units: tuple[str, ...], digits: int) -> str:
    power = 0
    while abs(n) >= base and power < len(units) - 1:
        n /= base
        power += 1
    decimals = max(0, digits - 1 - int(math.log10(abs(n)))) if abs(n) >= 1 else digits
    if round(abs(n), decimals) >= base and power < len(units) - 1:  # 999.9 k rounds up to 1.00 M
        n, power, decimals = n / base, power + 1, digits - 1
    text = f"{n:.{decimals}f}" if (power and not float(n).is_integer()) or power else f"{n:g}"
    return f"{text} {units[power]}".strip()
