"""What the views show, in finished words and figures: plain dicts made from plain objects."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from classykit import formats
from classykit.features import MAP2D, MAP3D, TOKENS, VECTOR, shape_text
from classykit.heads.classy_head import HEADS, ClassyHead
from classykit.inspecting.receptive.receptive_field import ReceptiveField
from classykit.inspecting.report import REST, BlockInfo, Inspection
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import MODELS, list_models
from classykit.seeing.feature_maps import FeatureMaps

if TYPE_CHECKING:
    from classykit.measuring.profile_report import Profile
    from classykit.plots.figure import NotebookFigure

VIEW_KINDS = {MAP2D: "map", MAP3D: "map", TOKENS: "tokens", VECTOR: "vector"}
COLORS = [
    {"id": "macs", "label": "MACs"},
    {"id": "params", "label": "parameters"},
    {"id": "activations", "label": "activations"},
]
TIME = {"id": "time", "label": "time, measured"}


def model_groups() -> list[dict[str, Any]]:
    """The models that need no further keys, by family, for the picker."""
    groups: dict[str, list[str]] = {}
    for name in list_models():
        entry = MODELS[name]
        if entry.is_whole:
            groups.setdefault(entry.cls.__name__, []).append(name)
    return [{"family": family, "models": models} for family, models in sorted(groups.items())]


def bar(
    inspection: Inspection, family: str, trained: str | None, device: str, devices: Mapping[str, str],
    dtype: str, seconds: float | None, custom: bool,
) -> dict[str, Any]:  # fmt: skip
    """State of the `ModelBar`."""
    shape = inspection.input_shape
    facts = [f"{shape[-1]} px"] if len(shape) >= 3 else [f"{shape_text(shape)} values"]
    if len(shape) == 4:
        facts.insert(0, f"{shape[1]} frames")
    totals = [
        {"value": formats.count(inspection.params), "label": "parameters"},
        {"value": formats.count(inspection.macs), "label": "MACs"},
        {"value": formats.size(inspection.param_bytes), "label": "weights"},
    ]
    if seconds is not None:
        totals.append({"value": formats.seconds(seconds), "label": "last run"})
    return {
        "name": inspection.name,
        "family": family,
        "groups": model_groups(),
        "trained": trained,
        "custom": custom,
        "facts": [*facts, dtype],
        "device": device,
        "devices": [{"id": k, "label": v} for k, v in devices.items()],
        "totals": totals,
    }


def block_map(
    inspection: Inspection,
    heads: Mapping[str, ClassyHead],
    picture: str,
    profile: Profile | None = None,
    short_name: Callable[[str], str] = ClassyModel.short_name,
) -> dict[str, Any]:
    """State of the `BlockMap`; with a profile it is coloured by time."""
    rows = listed(inspection)
    times = times_of(profile)
    whole = sum(times.values())
    most = {c["id"]: max(1, getattr(inspection, c["id"])) for c in COLORS}
    blocks = [
        {
            "name": b.name,
            "label": short_name(b.name),
            "type": b.type,
            "group": _group(b),
            "shape": shape_text(b.output_shape),
            "width": b.features.channels if b.features else 0,
            "height": b.features.spatial[-1] if b.features and b.features.spatial else 0,
            "skip": b.has_skip,
            "shares": {c: getattr(b, c) / total for c, total in most.items()}
            | ({"time": times[b.name] / whole} if b.name in times else {}),
            "values": {c: formats.count(getattr(b, c)) for c in most}
            | ({"time": formats.seconds(times[b.name])} if b.name in times else {}),
            "heads": [{"id": h, "label": head_label(heads[h]), "own": True} for h in b.heads if h in heads],
            "kind": VIEW_KINDS[b.features.kind if b.features else VECTOR],
        }
        for b in rows
    ]
    shape = inspection.input_shape
    square = len(shape) in (3, 4) and shape[-1] == shape[-2]
    text = " × ".join(map(str, shape[:-2])) + f" × {shape[-1]}²" if square else shape_text(shape)
    return {
        "input": {"text": text, "picture": picture},
        "blocks": blocks,
        "outputs": [],
        "color_by": "time" if times else "macs",
        "colors": [*COLORS, TIME],
    }


def times_of(profile: Profile | None) -> dict[str, float]:
    """{row: seconds} of a profile; empty without one."""
    return {} if profile is None else {row.name: row.time_ms / 1000 for row in profile.rows}


def panel(
    inspection: Inspection,
    block: str,
    heads: Mapping[str, tuple[str, ClassyHead]],
    profile: Profile | None = None,
) -> dict[str, Any]:
    """State of the `BlockPanel`; ``heads`` is {unique_id: (block, head)}."""
    times = times_of(profile)
    info = inspection[block]
    figures = (
        ("parameters", info.params, inspection.params),
        ("MACs", info.macs, inspection.macs),
        ("activations", info.activations, inspection.activations),
    )
    rows = [(label, formats.count(n), n / total if total else 0) for label, n, total in figures]
    if block in times:
        rows.append(("time", formats.seconds(times[block]), times[block] / sum(times.values())))
    return {
        "name": info.name,
        "type": info.type,
        "input": shape_text(info.input_shape),
        "output": shape_text(info.output_shape),
        "stride": "" if info.stride is None else f"stride {info.stride:g}",
        "sees": sees(info.receptive_field),
        "rows": [
            {"label": label, "share": share, "value": value, "percent": formats.percent(share)}
            for label, value, share in rows
        ],
        "heads": head_choices(info),
        "attached": [
            {
                "id": unique_id,
                "block": at,
                "here": at == block,
                "title": (head.registered_name or type(head).__name__).replace("_", " "),
                "classes": f"{head.num_classes} classes" if head.num_classes else "",
            }
            for unique_id, (at, head) in heads.items()
        ],
        "num_classes": 10,
    }


def head_choices(info: BlockInfo) -> list[dict[str, Any]]:
    """The registered heads, those that fit this block first, the others with the reason why not."""
    choices = []
    for name in HEADS:
        reason = HEADS[name].misfit(info.features) if info.features is not None else "gives no features"
        detail = reason or _detail(HEADS[name], info)
        title = name.replace("_", " ").removesuffix(" head")
        choices.append({"name": name, "title": title, "fits": reason is None, "detail": detail})
    return sorted(choices, key=lambda c: not c["fits"])


def _detail(head: type[ClassyHead], info: BlockInfo) -> str:
    takes_classes = head.Config is None or "in_plane" in head.Config.model_fields
    return f"{info.features.channels} → classes" if takes_classes else "as it is"


def table(inspection: Inspection) -> dict[str, Any]:
    """The blocks as rows of words, for the table beside the feature maps."""
    rows = [
        [
            b.name,
            b.type,
            shape_text(b.output_shape),
            formats.count(b.params),
            formats.percent(b.params / (inspection.params or 1)),
            formats.count(b.macs),
            formats.percent(b.macs / (inspection.macs or 1)),
            formats.size(b.activation_bytes),
        ]
        for b in inspection.blocks
    ]
    return {"columns": ["block", "type", "output", "params", "%", "MACs", "%", "activations"], "rows": rows}


def features(
    maps: FeatureMaps, order: str, scale: str, offset: int, page_size: int, frames: int = 0,
    field: ReceptiveField | None = None,
) -> tuple[dict[str, Any], bytes]:  # fmt: skip
    """(the ``features`` part of the `FeatureView`'s state, its ``pixels``); ``frames`` of the clip they come from, and
    what their positions see of it."""
    _, steps, height, width = maps.over_time.shape
    kind = VIEW_KINDS[maps.kind]
    state = {
        "kind": kind,
        "channels": 1 if kind == "vector" else maps.total,
        "values": maps.total,
        "height": height,
        "width": width,
        "steps": steps,
        "field": window(field),
        "times": [time_text(t, steps, frames) for t in range(steps)] if maps.kind == MAP3D else [],
        "order": order,
        "scale": scale,
        "offset": offset,
        "page_size": page_size,
        "maps": [
            {"channel": channel, "low": low, "high": high}
            for channel, (low, high) in zip(maps.channels, maps.limits.tolist(), strict=True)
        ],
    }
    pixels = (maps.to_unit() * 65535).round().numpy().astype("<u2").tobytes()
    return state, pixels


def time_text(step: int, steps: int, frames: int) -> str:
    """Which time step it is, and which of the clip's frames it stands for: "step 3 of 8 · frames 5–6".

    A frame belongs to the step in whose share of the clip it lies; what a block sees reaches further than that.
    """
    return f"step {step + 1} of {steps} · {which_frames(step, steps, frames)}".removesuffix(" · ")


def which_frames(step: int, steps: int, frames: int) -> str:
    """The frames that a time step stands for: "frames 5–6"; "" where there are none."""
    if not frames:
        return ""
    first, last = -(-step * frames // steps), -(-(step + 1) * frames // steps) - 1
    if last < first:  # more steps than frames
        first = last = step * frames // steps
    about = "about " if frames % steps else ""
    return about + (f"frame {first + 1}" if first == last else f"frames {first + 1}–{last + 1}")


def sees(field: ReceptiveField | None) -> str:
    """What one position of a block sees of the input, in words; "" where that is not known."""
    if field is None or field.size is None:
        return ""
    what = "picture" if len(field.size) == 2 else "clip"
    if field.is_global:
        return f"sees the whole {what}: {field.global_by}"
    square = f"{' × '.join(map(str, field.size[-2:]))} px"
    if what == "picture":
        return f"sees {square} of the picture"
    return f"sees {field.size[0]} {'frame' if field.size[0] == 1 else 'frames'} of {square}"


def window(field: ReceptiveField | None) -> dict[str, list[int]] | None:
    """What the positions of a map see of a picture, (height, width), for drawing; None where nothing can be drawn."""
    if field is None or field.size is None or len(field.size) < 2 or not all(field.stride[-2:]):
        return None
    parts = {"size": field.size, "stride": field.stride, "offset": field.offset, "image": field.image}
    return {name: list(values[-2:]) for name, values in parts.items()}


def listed(inspection: Inspection) -> list[BlockInfo]:
    """The rows that are blocks: no heads, no rest."""
    return [b for b in inspection.blocks if not b.is_head and b.name != REST]


def head_label(head: ClassyHead) -> str:
    """ "cls · 10" """
    return f"{head.unique_id} · {head.num_classes}" if head.num_classes else head.unique_id


def _group(block: BlockInfo) -> str:
    if block.features is None:
        return ""
    if block.features.kind == TOKENS:
        return f"{block.features.shape[0]} tokens"
    return " × ".join(map(str, block.features.spatial)) or "vector"


def data_url(picture: Image.Image, side: int) -> str:
    """A picture as a small JPEG in a data URL, at most ``side`` pixels wide and high."""
    small = picture.copy()
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def strip(frames: Sequence[Image.Image], count: int = 8, side: int = 88) -> Image.Image:
    """Frames of a clip beside each other: at most ``count``, taken evenly, each at most ``side`` pixels wide."""
    count = min(count, len(frames))
    small = [frames[round(i * (len(frames) - 1) / max(count - 1, 1))].copy() for i in range(count)]
    for frame in small:
        frame.thumbnail((side, side))
    width, height = small[0].size
    film = Image.new("RGB", (count * width, height))
    for i, frame in enumerate(small):
        film.paste(frame, (i * width, 0))
    return film


def img(name: str, source: str) -> str:
    """HTML of a picture in a data URL."""
    return f'<img alt="{html.escape(name)}" style="max-width:100%" src="{source}"><br>'


def png_url(figure: NotebookFigure) -> str:
    """A figure as a PNG in a data URL."""
    return "data:image/png;base64," + base64.b64encode(figure._repr_png_()).decode()


def predictions(classes: Iterable[tuple[str, float]]) -> list[dict[str, Any]]:
    """The most probable classes with bars."""
    return [{"label": label, "share": p, "value": f"{100 * p:.0f} %"} for label, p in classes]
