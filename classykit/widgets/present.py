"""What the parts of the app show of a scene, in finished words and figures: plain dicts."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from classykit import formats
from classykit.clips import SAMPLE_CLIPS
from classykit.exploring.design import TEXT, controls
from classykit.exploring.history import History
from classykit.exploring.scene import Scene
from classykit.features import MAP2D, MAP3D, SEQUENCE, TOKENS, VECTOR, Features, shape_text
from classykit.heads.classy_head import HEADS, ClassyHead
from classykit.images import sample_images
from classykit.inspecting.receptive.receptive_field import ReceptiveField
from classykit.inspecting.report import BlockInfo, Inspection
from classykit.models.factory import MODELS, list_models
from classykit.python_code import literal
from classykit.running.placement import devices
from classykit.seeing.feature_maps import FeatureMaps

if TYPE_CHECKING:
    from classykit.measuring.profile_report import Profile

VIEW_KINDS = {MAP2D: "map", MAP3D: "map", SEQUENCE: "sequence", TOKENS: "tokens", VECTOR: "vector"}
COLORS = [
    {"id": "macs", "label": "MACs"},
    {"id": "params", "label": "parameters"},
    {"id": "activations", "label": "activations"},
]
TIME = {"id": "time", "label": "time, measured"}
LAST_RUN = "last run"  # the one total that is not the same each time


def model_groups() -> list[dict[str, Any]]:
    """The models that need no further keys, by family, for the picker."""
    groups: dict[str, list[str]] = {}
    for name in list_models():
        entry = MODELS[name]
        if entry.is_whole:
            groups.setdefault(entry.cls.__name__, []).append(name)
    return [{"family": family, "models": models} for family, models in sorted(groups.items())]


def steps(history: History) -> dict[str, Any]:
    """What was done, and what can be taken back or done again: words, and "" where there is nothing."""
    words, at = history.words, history.at
    return {"words": words, "at": at, "undo": words[at] if at else "", "redo": (words[at + 1 :] or [""])[0]}


def design(scene: Scene, refused: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The model's keys as controls; ``refused`` says which was typed something that cannot be built."""
    keys = [
        {
            "name": c.name, "meaning": c.meaning, "takes": c.takes, "kind": c.kind, "changed": c.changed,
            "value": c.value if c.kind != TEXT else literal(c.value), "text": literal(c.value), "rare": c.rare,
            "preset": literal(c.preset),
            "at_preset": c.preset if isinstance(c.preset, (int, float)) else None,
            "options": [{"id": literal(o), "label": "none" if o is None else str(o)} for o in c.options],
            "low": c.low, "high": c.high, "step": c.step, "refused": refused.get(c.name),
        }
        for c in controls(scene.subject)
    ]  # fmt: skip
    return {
        "family": scene.subject.family,
        "name": scene.subject.name,
        "keys": keys,
        "changed": sum(key["changed"] for key in keys),
    }


def bar(scene: Scene, own: Sequence[str] = ()) -> dict[str, Any]:
    """State of the model bar; ``own`` are the user's modules, which stand first among the models."""
    inspection, subject = scene.inspection, scene.subject
    shape = inspection.input_shape
    facts = [f"{shape[-1]} px"] if len(shape) >= 3 else [f"{shape_text(shape)} values"]
    if inspection.inputs:
        facts = [inspection.input_text]
    elif len(shape) == 4:
        facts.insert(0, f"{shape[1]} frames")
    totals = {
        "parameters": formats.count(inspection.params),
        "MACs": formats.count(inspection.macs),
        "weights": formats.size(inspection.param_bytes),
    }
    if scene.last is not None:
        totals[LAST_RUN] = formats.seconds(scene.last.seconds)
    return {
        "name": inspection.name,
        "family": subject.family,
        "groups": [*([{"family": "yours", "models": list(own)}] if own else []), *model_groups()],
        "trained": subject.trained,
        "custom": subject.adopted is not None,
        "facts": [*facts, subject.dtype],
        "device": scene.device,
        "devices": [{"id": k, "label": v} for k, v in devices().items()],
        "totals": [{"value": value, "label": label} for label, value in totals.items()],
    }


def block_map(scene: Scene) -> dict[str, Any]:
    """State of the map of blocks; where its blocks were measured it is coloured by time."""
    inspection, heads, short_name = scene.inspection, scene.subject.heads(), scene.subject.model.short_name
    times = times_of(scene.profile)
    whole = sum(times.values())
    most = {c["id"]: max(1, getattr(inspection, c["id"])) for c in COLORS}
    blocks = [
        {
            "name": b.name,
            "label": short_name(b.name),
            "type": b.type,
            "group": _group(b.features),
            "shape": shape_text(b.output_shape),
            "width": b.features.channels if b.features else 0,
            "height": b.features.spatial[-1] if b.features and b.features.spatial else 0,
            "skip": b.has_skip,
            "shares": {c: getattr(b, c) / total for c, total in most.items()}
            | ({"time": times[b.name] / whole} if b.name in times else {}),
            "values": {c: formats.count(getattr(b, c)) for c in most}
            | ({"time": formats.seconds(times[b.name])} if b.name in times else {}),
            "heads": [{"id": h, "label": head_label(heads[h][1])} for h in b.heads if h in heads],
            "kind": VIEW_KINDS[b.features.kind if b.features else VECTOR],
        }
        for b in scene.inspection.trunk
    ]
    shape = inspection.input_shape
    square = len(shape) in (3, 4) and shape[-1] == shape[-2]
    text = " × ".join(map(str, shape[:-2])) + f" × {shape[-1]}²" if square else shape_text(shape)
    return {
        "input": text,
        "blocks": blocks,
        "color_by": "time" if times else "macs",
        "colors": [*COLORS, TIME],
    }


def times_of(profile: Profile | None) -> dict[str, float]:
    """{row: seconds} of a profile; empty without one."""
    return {} if profile is None else {row.name: row.time_ms / 1000 for row in profile.rows}


def panel(scene: Scene) -> dict[str, Any]:
    """State of the panel of the chosen block."""
    inspection, block = scene.inspection, scene.block
    times = times_of(scene.profile)
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
        "stride": f"stride {info.stride_text}" if info.stride_text else "",
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
            for unique_id, (at, head) in scene.subject.heads().items()
        ],
        "num_classes": 10,
    }


def view(scene: Scene) -> tuple[dict[str, Any], bytes]:
    """(state, pixels) of the view of features."""
    maps = scene.maps()
    described, pixels = (None, b"") if maps is None else features(scene, maps)
    state = {
        "block": scene.block,
        "untrained": scene.subject.trained is None,
        "features": described,
        "hint": _hint(scene),
    }
    return state, pixels


def source(scene: Scene) -> dict[str, Any]:
    """The pictures or clips to choose from, and what the model says of the chosen one."""
    if scene.takes_clips:
        images, name = [{"name": c, "label": c} for c in SAMPLE_CLIPS], scene.clip_name
    else:
        images, name = [{"name": str(s), "label": s.description} for s in sample_images()], scene.image_name or ""
    if name and name not in [i["name"] for i in images]:
        images.append({"name": name, "label": name})
    guesses = predictions(scene)
    return {
        "images": images,
        "image": name,
        "clip": scene.takes_clips,
        "example": scene.inspection.input_text if scene.subject.example is not None else "",
        "ran": scene.last is not None,
        "run_text": _run_text(scene),
        "predictions": guesses,
        "prediction_title": f"top {len(guesses)} · {scene.subject.trained}" if guesses else "",
    }


def pictures(scene: Scene) -> tuple[str, str, list[str]]:
    """What the model sees, as data URLs: small for the map; large, where it is a picture; the frames of a clip."""
    seen = scene.pictures
    if not seen:
        return "", "", []
    small = data_url(seen[len(seen) // 2], 96)  # of a clip always the same frame: the map does not follow the slider
    if scene.takes_clips:
        return small, "", [data_url(frame, 224) for frame in seen]
    return small, data_url(seen[0], 448), []


def _hint(scene: Scene) -> str:
    """What stands in the place of feature maps before there are any."""
    if scene.takes_pictures or scene.takes_clips or scene.subject.example is not None:
        return f"Run the model to see what {scene.block} sees."
    shape = shape_text(scene.inspection.input_shape)
    return f"{scene.subject.name} takes inputs of {shape}, not pictures or clips: here it is inspected, not run."


def _run_text(scene: Scene) -> str:
    """ "31 ms on cpu · my head gave 1×10" """
    if scene.last is None:
        return ""
    gave = [f"{h} gave {'×'.join(map(str, o.shape))}" for h, o in scene.given.items() if isinstance(o, torch.Tensor)]
    return " · ".join([f"{formats.seconds(scene.last.seconds)} on {scene.last.device}", *gave])


def head_choices(info: BlockInfo) -> list[dict[str, Any]]:
    """The registered heads, those that fit this block first, the others with the reason why not."""
    choices = []
    for name in HEADS:
        head, given = HEADS[name], info.features
        takes_classes = head.Config is None or "in_plane" in head.Config.model_fields
        reason = "gives no features" if given is None else head.misfit(given)
        detail = f"{given.channels} → classes" if given is not None and takes_classes else "as it is"
        title = name.replace("_", " ").removesuffix(" head")
        choices.append({"name": name, "title": title, "fits": reason is None, "detail": reason or detail})
    return sorted(choices, key=lambda c: not c["fits"])


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


def features(scene: Scene, maps: FeatureMaps) -> tuple[dict[str, Any], bytes]:
    """(the ``features`` part of the view's state, its ``pixels``)."""
    _, steps, height, width = maps.over_time.shape
    kind = VIEW_KINDS[maps.kind]
    frames = len(scene.frames)
    state = {
        "kind": kind,
        "channels": 1 if kind == "vector" else maps.total,
        "values": maps.total,
        "height": height,
        "width": width,
        "steps": steps,
        "field": window(scene.inspection[scene.block].receptive_field),
        "times": [time_text(t, steps, frames) for t in range(steps)] if maps.kind == MAP3D else [],
        "order": scene.order,
        "scale": scene.scale,
        "offset": scene.offset,
        "page_size": scene.page_size,
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
    what = {1: "input", 2: "picture", 3: "clip"}[len(field.size)]
    if field.is_global:
        return f"sees the whole {what}: {field.global_by}"
    if what == "input":
        return f"sees {field.size[0]} {'step' if field.size[0] == 1 else 'steps'} of the input"
    square = f"{' × '.join(map(str, field.size[-2:]))} px"
    if what == "picture":
        return f"sees {square} of the picture"
    return f"sees {field.size[0]} {'frame' if field.size[0] == 1 else 'frames'} of {square}"


def window(field: ReceptiveField | None) -> dict[str, list[int]] | None:
    """What the positions of a map see of a picture, (height, width), for drawing; None where nothing can be drawn."""
    if field is None or field.size is None or len(field.size) < 2:
        return None
    parts = {"size": field.size, "stride": field.stride, "offset": field.offset, "image": field.image}
    shown = {name: list(values[-2:]) for name, values in parts.items() if values is not None}
    return shown if all(shown["stride"]) else None


def head_label(head: ClassyHead) -> str:
    """ "cls · 10" """
    return f"{head.unique_id} · {head.num_classes}" if head.num_classes else head.unique_id


def _group(features: Features | None) -> str:
    if features is None:
        return ""
    if features.kind == TOKENS:
        return f"{features.shape[0]} tokens"
    return " × ".join(map(str, features.spatial)) or "vector"


def predictions(scene: Scene) -> list[dict[str, Any]]:
    """The most probable classes with bars."""
    return [{"label": label, "share": p, "value": f"{100 * p:.0f} %"} for label, p in scene.predictions()]


def data_url(picture: Image.Image, side: int) -> str:
    """A picture as a small JPEG in a data URL, at most ``side`` pixels wide and high."""
    small = picture.copy()
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
