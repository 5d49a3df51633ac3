"""Layers: what runs in the chosen block, in order, and one value of a convolution or linear layer taken apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from classykit import formats
from classykit.errors import BlockError, ClassyKitError, ConfigError
from classykit.exploring.pane import Acts, Pane
from classykit.exploring.pixels import brief, pack
from classykit.features import shape_text
from classykit.inspecting.inside import Inside, Part
from classykit.python_code import literal
from classykit.seeing.arithmetic import Arithmetic, Step, Watched, watch_layer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from classykit.exploring.explored import Explored

SHOWN = 3  # cells a side of a window in which each number is shown
AXES = ("frame", "row", "column")


class LayersPane(Pane):
    """The layers of the chosen block, and the arithmetic of one value of one of them."""

    id, title = "layers", "Layers"
    pictured = False

    _subject: Explored | None = None
    _block = ""
    _opened: tuple[str, ...] = ()  # paths of what is open within the block, the innermost last
    _inside: Inside | None = None
    _refused = ""  # why there are no layers to show
    _chosen = -1  # which of them
    _channel: int | None = None  # None for the place of the largest value in the first
    _at: tuple[int, ...] = ()
    _watched: Watched | None = None
    _watched_of: tuple[Any, ...] = ()
    _why = ""  # why the chosen layer has no arithmetic

    # ---- what it is about ----

    def _follow(self) -> None:
        """Let go of what belongs to another model or block."""
        scene = self.scene
        if self._subject is not scene.subject or self._block != scene.block:
            self._subject, self._block = scene.subject, scene.block
            self._go((), None)

    def _go(self, opened: tuple[str, ...], inside: Inside | None) -> None:
        """Show another level."""
        self._opened, self._inside, self._refused = opened, inside, ""
        self._take(-1 if inside is None else _first(inside))

    def _take(self, index: int) -> None:
        """Choose another layer."""
        self._chosen, self._channel, self._at = index, None, ()
        self._watched, self._watched_of, self._why = None, (), ""

    @property
    def _place(self) -> str:
        return self._opened[-1] if self._opened else self._block

    @property
    def _parts(self) -> tuple[Part, ...]:
        return () if self._inside is None else self._inside.parts

    @property
    def _part(self) -> Part | None:
        return self._parts[self._chosen] if 0 <= self._chosen < len(self._parts) else None

    def _path(self, path: str) -> str:
        """As people write it: of a module of theirs without the name that it has in ours."""
        return path.removeprefix("model.") if self.scene.subject.adopted is not None else path

    @property
    def _runs(self) -> bool:
        scene = self.scene
        return scene.takes_pictures or scene.takes_clips or scene.subject.example is not None

    @property
    def _now(self) -> tuple[Any, ...]:
        """What the arithmetic is of."""
        scene, part = self.scene, self._part
        return (scene.subject, scene.device, scene.picture, scene.clip, part)

    def _is_current(self) -> bool:
        return bool(self._watched_of) and all(a is b for a, b in zip(self._watched_of, self._now, strict=True))

    # ---- working it out ----

    @property
    def due(self) -> bool:
        self._follow()
        if self._inside is None:
            return not self._refused
        part = self._part
        return part is not None and _may(part) and self._runs and self.scene.is_quick and not self._is_current()

    def work(self) -> None:
        self._follow()
        if self._inside is None:
            try:
                inside = self.scene.inspection.inside(self._place)
            except ClassyKitError as error:
                self._refused = str(error)
                return
            self._go(self._opened, inside)
        if self.due:
            self._watch()

    def _watch(self) -> None:
        """One pass, in which the chosen layer is watched."""
        scene, part, now = self.scene, self._part, self._now
        if part is None or self._is_current():
            return
        if any(part.path == before.path for before in self._parts[: self._chosen]):
            self._watched_of, self._why = now, f"{part.name} runs a second time here: its first run can be taken apart."
            return
        if not scene.is_quick:
            self.tell(f"Running {scene.subject.name} to watch {part.name} …", 0, 0)
        model = scene.subject.go_live(scene.device)
        x, watched, why = scene.input_for(model), None, ""
        try:
            watched = watch_layer(model, x, part.path)
            if self._channel is not None:
                watched.arithmetic(self._channel, self._at)
        except BlockError:
            why = f"{part.name} is not one convolution or linear layer, so that no value of it can be taken apart."
        except ConfigError:  # with another picture, the place may be none
            self._channel = None
        if watched is not None and self._channel is None:
            self._channel, self._at = self._shared(watched) or _most(watched)
        self._watched, self._watched_of, self._why = watched, now, why

    def _shared(self, watched: Watched) -> tuple[int, tuple[int, ...]] | None:
        """The channel and position that are looked at in the block, where the layer gives as much as the block does."""
        scene, shape = self.scene, tuple(watched.output.shape)
        if scene.channel is None or shape != scene.inspection[scene.block].output_shape:
            return None
        at = scene.position if scene.position is not None and len(watched.sides) == 2 else _most(watched)[1]
        try:
            watched.arithmetic(scene.channel, at)
        except ConfigError:
            return None
        return scene.channel, at

    def _one(self) -> Arithmetic | None:
        if self._watched is None or not self._is_current():
            return None
        return self._watched.arithmetic(self._channel or 0, self._at)

    # ---- what may be asked ----

    @property
    def acts(self) -> Acts:
        return {
            "layers_choose": ({"index": int}, lambda m: self._choose(m["index"])),
            "layers_open": ({"index": int}, lambda m: self._open(m["index"])),
            "layers_back": ({"depth": int}, lambda m: self._back(m["depth"])),
            "layers_at": ({"channel": int, "at": list}, lambda m: self._look_at(m["channel"], tuple(m["at"]))),
            "layers_run": ({}, lambda m: self._run()),
        }

    def _row(self, index: int) -> Part:
        self._follow()
        if not 0 <= index < len(self._parts):
            raise ConfigError(f"There are layers 0 to {len(self._parts) - 1} here, not {index}.")
        return self._parts[index]

    def _choose(self, index: int) -> None:
        self._row(index)
        if index != self._chosen:
            self._take(index)

    def _open(self, index: int) -> None:
        part = self._row(index)
        if not part.parts:
            raise ConfigError(f"{part.name} has no layers of its own.")
        inside = self.scene.inspection.inside(part.path)
        self._go((*self._opened, part.path), inside)

    def _back(self, depth: int) -> None:
        self._follow()
        if 0 <= depth < len(self._opened):
            self._go(self._opened[:depth], None)

    def _look_at(self, channel: int, at: tuple[Any, ...]) -> None:
        if self._watched is None:
            raise ConfigError("There is no layer with a value to look at: choose one, and run the model.")
        self._watched.arithmetic(channel, at)  # which refuses what is not there
        self._channel, self._at = channel, at

    def _run(self) -> None:
        scene = self.scene
        if scene.last is None:
            self.tell(f"Running {scene.subject.name} …", 0, 0)
            scene.run(lambda done, total: self.tell(f"Running {scene.subject.name} …", done, total))
        self._watch()
        one, part = self._one(), self._part
        self.tell(self._why if one is None or part is None else _words(part.name, one), 0, 0)

    # ---- what is shown ----

    def show(self) -> tuple[dict[str, Any], bytes]:
        self._follow()
        one = self._one()
        arrays, pictures = ([], {}) if one is None or self._watched is None else _maps(self._watched, one)
        described, pixels = pack(arrays)
        hint, button = self._hint() if one is None else ("", "")
        names = [self._block, *(self._path(path).rpartition(".")[2] for path in self._opened)]
        state = {
            "crumbs": names,
            "count": "one layer" if len(self._parts) == 1 else f"{len(self._parts)} layers",
            "rows": self._rows(),
            "chosen": self._chosen,
            "refused": self._refused,
            "hint": hint,
            "button": button,
            "one": None if one is None else {**self._described(one), **pictures, "arrays": described},
        }
        return state, pixels

    def _rows(self) -> list[dict[str, Any]]:
        """What goes without saying is left out: a click sends these, and there may be hundreds."""
        macs = self._inside.macs if self._inside is not None else 0
        rows = []
        for i, part in enumerate(self._parts):
            row: dict[str, Any] = {
                "name": part.name,
                "type": part.type,
                "output": shape_text(part.output_shape),
            }
            if part.params:
                row["params"] = formats.count(part.params)
            if part.macs:
                row |= {"macs": formats.count(part.macs), "share": round(part.macs / macs, 4),
                        "percent": formats.percent(part.macs / macs)}  # fmt: skip
            if part.adds:
                row["adds"] = True
            if part.parts:
                row["opens"] = True
            if part.takes and list(part.takes) != [i - 1]:
                row["takes"] = list(part.takes)
            rows.append(row)
        return rows

    def _hint(self) -> tuple[str, str]:
        """(what stands in the place of the arithmetic, the button that ends that); "" for none."""
        scene, part = self.scene, self._part
        if part is None or not _may(part):
            if part is not None and part.parts:
                return f"{part.name} has layers of its own: Enter opens it.", ""
            if part is not None and part.macs and not part.path:
                return f"{part.name} is called as a function, not as a layer of its own that could be watched.", ""
            there = "Choose a layer with a filled square." if any(map(_may, self._parts)) else ""
            name = "no layer here" if part is None else part.name
            return f"There is no window and kernel in {name} to take apart. {there}".strip(), ""
        if self._why and self._is_current():
            return self._why, ""
        if not self._runs:
            shape = shape_text(scene.inspection.input_shape)
            takes = f"{scene.subject.name} takes inputs of {shape}, not pictures or clips"
            return f"{takes}: its layers are shown, and no value, as nothing runs through them here.", ""
        if scene.last is None:
            return f"Run the model to see how one value of {part.name} comes about.", "Run"
        return f"Another pass shows how one value of {part.name} comes about.", "Calculate"

    def _described(self, one: Arithmetic) -> dict[str, Any]:
        part, watched = self._part, self._watched
        assert part is not None and watched is not None
        window, cells, ok = one.window, one.window.shape, one.agrees
        sides = [s for s in cells[1:] if s > 1]
        grid = len(cells) > 1 and cells[0] == 1 and len(sides) <= 2 and max(sides, default=1) <= SHOWN
        tolerance = f"{one.tolerance:.0e}".replace("e-0", "e-")
        kind = str(window.dtype).removeprefix("torch.")
        loose = "" if kind == "float32" else f", to {tolerance} in {kind}"
        off = f"{abs(one.sum - one.value):.2g}"
        within = f"sum and torch's value differ by {off}; allowed is {tolerance} of the size of the products"
        values = math.prod(watched.sides) * watched.channels
        counted = window.numel() * values
        return {
            "name": part.name,
            "channel": one.channel,
            "channels": watched.channels,
            "at": list(one.at),
            "sides": list(watched.sides),
            "axes": ["token"] if watched.call.linear and len(one.at) == 1 else list(AXES[3 - len(one.at) :]),
            "cells": "×".join(map(str, cells[1:])) if len(cells) > 1 else f"{cells[0]} inputs",
            "deep": cells[0] if len(cells) > 1 else 1,
            "grid": _grid(one, sides) if grid else None,
            "largest": [] if grid else _largest(one, watched.first_channel(one.channel)),
            "others": None if grid else _others(one),
            "bias": one.bias,
            "sum": one.sum,
            "agrees": ok,
            "check": f"as torch has it{loose}" if ok else f"torch has {one.value:.6g}: {off} off",
            "within": within,
            "steps": [
                {"name": self._name_of(step), "how": step.how, "value": brief(step.value)} for step in one.follows
            ],
            "macs": f"{window.numel()} × {shape_text(part.output_shape)} values = {formats.count(part.macs)} MACs"
            if counted == part.macs
            else "",
            "words": _words(part.name, one),
        }

    def _name_of(self, step: Step) -> str:
        """The layer that a step is, or the function where it is done between layers."""
        names = {part.path: part.name for part in self._parts if part.path}
        last = step.module.rpartition(".")[2]
        inner = next((name for path, name in names.items() if f"{step.module}.".startswith(f"{path}.")), "")
        around = (self._part.path if self._part is not None else "").startswith(f"{step.module}.") or not step.module
        return inner or (step.function if around or last.isdigit() else last)

    def figure(self) -> Figure | None:
        self._follow()
        one = self._one()
        return None if one is None else one.plot()

    def code(self) -> str:
        self._follow()
        if self._inside is None:
            return ""
        lines = [f"print(ck.inspect(model).inside({literal(self._path(self._place))}))"]
        part = self._part
        if part is not None and self._one() is not None:
            x = "x" if self.scene.subject.example is None else "example"
            at = f", at={self._at}" if self._at else ""
            lines.append(f"ck.arithmetic(model, {x}, {literal(self._path(part.path))}, channel={self._channel}{at})")
        return "\n".join(lines)


def _may(part: Part) -> bool:
    """Whether a value of it may be taken apart: it is a layer that multiplies."""
    return bool(part.path and part.macs and not part.parts)


def _first(inside: Inside) -> int:
    """The layer to begin with: the one whose values are the sum of the fewest products."""
    products = {i: p.macs / math.prod(p.output_shape or (1,)) for i, p in enumerate(inside.parts) if _may(p)}
    return min(products, key=products.__getitem__, default=0)


def _most(watched: Watched) -> tuple[int, tuple[int, ...]]:
    """The place of the largest value within the first channel; of a vector, the channel of its largest."""
    output = watched.output.detach().float().abs().nan_to_num()
    if not watched.sides:
        return int(output.argmax()), ()
    inner = output[0][tuple(slice(1, -1) if side > 2 else slice(None) for side in watched.sides)]  # away from padding
    place = torch.unravel_index(inner.argmax(), inner.shape)
    return 0, tuple(int(i) + (side > 2) for i, side in zip(place, watched.sides, strict=True))


def _grid(one: Arithmetic, sides: list[int]) -> dict[str, Any]:
    """Every number of a small window."""
    columns = sides[-1] if sides else 1
    values = {"window": one.window, "kernel": one.kernel, "products": one.products}
    return {"columns": columns, "outside": one.padding.flatten().tolist()} | {
        name: [_short(v) for v in t.flatten().tolist()] for name, t in values.items()
    }


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _largest(one: Arithmetic, first: int) -> list[tuple[str, float, float, float]]:
    """Six products as (where, window, kernel, product); ``first`` is the input channel that the window begins with."""
    rows = []
    for cell, *values in one.largest():
        place = f" ({', '.join(map(str, cell[1:]))})" if math.prod(one.window.shape[1:]) > 1 else ""
        window, kernel, product = map(_short, values)
        where = f"channel {first + cell[0]}{place}" if one.at else f"input {cell[0]}"
        rows.append((where, window, kernel, product))
    return rows


def _others(one: Arithmetic) -> dict[str, Any] | None:
    """What the products that are not shown add up to."""
    largest = one.largest()
    count = one.products.numel() - len(largest)
    if not count:
        return None
    return {"count": count, "sum": float(one.products.sum()) - sum(product for *_, product in largest)}


def _words(name: str, one: Arithmetic) -> str:
    where = f" ({', '.join(map(str, one.at))})" if one.at else ""
    count = one.products.numel()
    products = "one product is" if count == 1 else f"{count} products add up to"
    bias = ", with the bias," if one.bias else ""
    value = f"{one.sum:.4g}".replace("-", "−")
    return f"{name} at channel {one.channel}{where}: {products}{bias} {value}"


def _maps(watched: Watched, one: Arithmetic) -> tuple[list[torch.Tensor], dict[str, Any]]:
    """What the window lies on and what comes out, one channel each: their arrays, and what is marked in them."""
    arrays, described = [], {}
    image, channel = watched.input, watched.first_channel(one.channel)
    if image.ndim > 1:
        channel += one.largest(1)[0][0][0]  # the one whose product is the largest
        inner = watched.centre(one.at)
        arrays.append(_flat(image[channel], inner))
        described["input"] = {"channel": channel, "window": _marked(watched, one, image[channel], inner)}
    output = watched.output
    shown, place = (output[one.channel], one.at) if one.at else (output, (one.channel,))
    arrays.append(_flat(shown, place))
    described["output"] = {"at": list(_cell(shown, place)), "count": shown.numel() if shown.ndim == 1 else 0}
    return arrays, described


def _width(values: torch.Tensor) -> int:
    return math.ceil(math.sqrt(len(values)))


def _flat(values: torch.Tensor, at: tuple[int, ...]) -> torch.Tensor:
    """As a map: of more axes the one at this place, of one axis in rows."""
    if values.ndim == 1:
        width = _width(values)
        return torch.nn.functional.pad(values, (0, -len(values) % width)).view(-1, width)
    return values[at[:-2]]


def _cell(values: torch.Tensor, at: tuple[int, ...]) -> tuple[int, int]:
    return divmod(at[0], _width(values)) if values.ndim == 1 else (at[-2], at[-1])


def _marked(watched: Watched, one: Arithmetic, image: torch.Tensor, inner: tuple[int, ...]) -> list[int] | None:
    """[top, left, height, width] of the window on the map, in cells; it may reach beyond."""
    if watched.call.linear:
        return [*_cell(image, inner), 1, 1]
    corner = watched.corner(one.at)
    if len(corner) < 2:
        return None
    reach = [d * (k - 1) + 1 for d, k in zip(one.dilation, one.kernel.shape[1:], strict=True)]
    return [*corner[-2:], *reach[-2:]]
