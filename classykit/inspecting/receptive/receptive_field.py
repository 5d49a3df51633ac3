"""The receptive field of a block: which pixels of the input one position of its output sees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from classykit.inspecting.receptive.fields import ALL, EACH, Dim, Field, axes_in, positions


@dataclass(frozen=True)
class ReceptiveField:
    """The pixels of the input that can change one position of an output: one number per axis, (H, W) or (T, H, W).

    Along an axis, position i sees the pixels offset + i·stride ... offset + i·stride + size − 1. That reaches into the
    padding where it goes beyond the image, and is the hull where there are gaps, as in dilated convolutions (Araujo,
    Norris and Sim, "Computing receptive fields of convolutional neural networks", Distill 2019). What *can* change a
    position is meant: the effective receptive field, weighted by how much, is smaller.

    Attributes:
        size, stride, offset: in pixels; None when unknown. Where an axis is global, every position sees the same
            pixels, usually all: the stride is 0.
        image: the input's extent.
        global_by: what made it global, and where: "squeeze-excitation in block1-0"; "" when no axis is.
        unknown: why it is not known; "" when it is.

    >>> import classykit
    >>> i = classykit.inspect("resnet50")
    >>> i["block0-0"].receptive_field
    ReceptiveField(size=(19, 19), stride=(4, 4), offset=(-9, -9), image=(224, 224), global_by='', unknown='')
    >>> print(i["block3-2"].receptive_field)
    427×427, stride 32
    >>> print(classykit.inspect("vit_b_16")["layer_0"].receptive_field)
    global (attention in layer_0)
    """

    size: tuple[int, ...] | None
    stride: tuple[int, ...] | None
    offset: tuple[int, ...] | None
    image: tuple[int, ...]
    global_by: str = ""
    unknown: str = ""

    @property
    def is_global(self) -> bool:
        """Whether every position sees the same, along all axes."""
        return self.stride is not None and not any(self.stride)

    def window(self) -> dict[str, list[int]] | None:
        """What positions see of a picture, each part as (height, width); None where nothing can be drawn.

        >>> ReceptiveField((3, 5, 5), (1, 2, 2), (-1, -2, -2), (4, 8, 8)).window()
        {'size': [5, 5], 'stride': [2, 2], 'offset': [-2, -2], 'image': [8, 8]}
        """
        if self.size is None or self.stride is None or self.offset is None or len(self.size) < 2:
            return None
        parts = {"size": self.size, "stride": self.stride, "offset": self.offset, "image": self.image}
        window = {name: list(values[-2:]) for name, values in parts.items()}
        return window if all(window["stride"]) else None

    def pixels(self, position: Sequence[int]) -> tuple[slice, ...] | None:
        """What ``position`` sees of the image, a slice per axis; None when unknown.

        >>> ReceptiveField((5, 5), (2, 2), (-2, -2), (8, 8)).pixels((0, 3))
        (slice(0, 3, None), slice(4, 8, None))
        """
        if self.size is None or self.stride is None or self.offset is None:
            return None
        starts = [o + i * s for o, i, s in zip(self.offset, position, self.stride, strict=True)]
        return tuple(
            slice(min(max(a, 0), n), max(min(a + k, n), 0))
            for a, k, n in zip(starts, self.size, self.image, strict=True)
        )

    def __str__(self) -> str:
        if self.size is None or self.stride is None:
            return f"unknown ({self.unknown})"
        if self.is_global:
            return f"global ({self.global_by})"
        stride = self.stride if len(set(self.stride)) > 1 else self.stride[:1]
        text = f"{'×'.join(map(str, self.size))}, stride {'×'.join(map(str, stride))}"
        return f"{text}, partly global ({self.global_by})" if self.global_by else text


def receptive_field(field: Field | None, image: Sequence[int]) -> ReceptiveField | None:
    """What a `Field` says, in public terms; None for a tensor that does not come from the input."""
    if field is None:
        return None
    causes = [str(seen.cause) for seen in field.axes if seen.status == ALL]
    unknown = next((str(seen.cause) for seen in field.axes if seen.status > ALL), "")
    if not unknown and any(_in_windows(field.dims, a) for a, seen in enumerate(field.axes) if seen.status == EACH):
        unknown = "windows of positions"
    by = ", ".join(dict.fromkeys(causes))
    if unknown:
        return ReceptiveField(None, None, None, tuple(image), by, unknown)
    windows = []
    for axis, (seen, n) in enumerate(zip(field.axes, image, strict=True)):
        if seen.status == ALL:  # padding is no part of it
            start, end = max(seen.start, 0), min(seen.end, n)
            windows.append((end - start, 0, start))
        else:
            jump = next((f.jump for f in positions(field.dims, axis) if f.n > 1), seen.jump)
            windows.append((seen.size, jump, seen.start))
    size, stride, offset = zip(*windows, strict=True)
    return ReceptiveField(size, stride, offset, tuple(image), by)


def _in_windows(dims: Iterable[Dim], axis: int) -> bool:
    """Whether counting positions needs several numbers, or passes over entries that stand at the same site."""
    for dim in dims:
        own = [i for i, f in enumerate(dim) if f.n > 1 and axis in axes_in((f,))]
        if own and any(f.axis < 0 and not f.inner for f in dim[own[0] + 1 :]):
            return True
    return sum(f.n > 1 for f in positions(dims, axis)) > 1
