"""What the parts of the app show of a scene, in finished words and figures: plain dicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import torch

from classykit import formats
from classykit.clips import SAMPLE_CLIPS
from classykit.exploring import picking
from classykit.exploring.budget import Budget, Peak
from classykit.exploring.design import TEXT, Control, controls, side
from classykit.exploring.explored import Explored
from classykit.exploring.history import History
from classykit.exploring.pixels import brief, data_url
from classykit.exploring.runs import labels, runs
from classykit.exploring.scene import EVIDENCE, PICTURE, Scene
from classykit.features import MAP2D, MAP3D, SEQUENCE, TOKENS, VECTOR, Features, shape_text
from classykit.heads.classy_head import HEADS, ClassyHead
from classykit.images import sample_images
from classykit.inspecting.block_info import BlockInfo
from classykit.inspecting.receptive.receptive_field import ReceptiveField
from classykit.inspecting.report import Inspection
from classykit.inspecting.report_table import strides_text
from classykit.python_code import literal
from classykit.running.placement import devices
from classykit.samples import sample_digits
from classykit.seeing.feature_maps import ORDERS, FeatureMaps

if TYPE_CHECKING:
    from classykit.measuring.profile_report import Profile

VIEW_KINDS = {MAP2D: "map", MAP3D: "map", SEQUENCE: "sequence", TOKENS: "tokens", VECTOR: "vector"}
COLORS = [
    {"id": "macs", "label": "MACs"},
    {"id": "params", "label": "parameters"},
    {"id": "activations", "label": "activations"},
]
TIME = {"id": "time", "label": "time, measured"}
# of these a share of the whole says little: the map writes their ends
FIELD = {"id": "field", "label": "receptive field", "ends": True}
KNOWS = {"id": "knows", "label": "what it knows", "ends": True}
RESOLUTION = {"id": "resolution", "label": "resolution"}
LAST_RUN = "last run"  # the one total that is not the same each time


def models(own: Mapping[str, Explored]) -> list[dict[str, Any]]:
    """The models to choose from, those of the user's first; ``own`` are they, by what the picker calls them."""
    found = [*(picking.own(name, subject) for name, subject in own.items()), *picking.listed()]
    return [
        {
            "name": m.name, "family": m.family, "kinds": list(m.kinds), "mark": m.mark, "install": m.install,
            "params": m.params, "macs": m.macs, "side": m.side,
            "params_text": "–" if m.params is None else formats.count(m.params),
            "macs_text": "–" if m.macs is None else formats.count(m.macs),
            "input": (f"{m.frames} × " if m.frames else "") + (f"{m.side} px" if m.side else "–"),
        }
        for m in found
    ]  # fmt: skip


def steps(history: History) -> dict[str, Any]:
    """What was done, and what can be taken back or done again: words, and "" where there is nothing."""
    words, at = history.words, history.at
    return {"words": words, "at": at, "undo": words[at] if at else "", "redo": (words[at + 1 :] or [""])[0]}


def design(scene: Scene, refused: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The model's keys as controls; ``refused`` says which was typed something that cannot be built."""
    keys = [key_state(control, refused.get(control.name)) for control in controls(scene.subject)]
    return {
        "family": scene.subject.family,
        "name": scene.subject.name,
        "keys": keys,
        "changed": sum(key["changed"] for key in keys),
    }


def key_state(c: Control, refused: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A key as the page draws it."""
    return {
        "name": c.name, "meaning": c.meaning, "takes": c.takes, "kind": c.kind, "changed": c.changed,
        "value": c.value if c.kind != TEXT else literal(c.value), "text": literal(c.value), "rare": c.rare,
        "preset": literal(c.preset),
        "at_preset": c.preset if isinstance(c.preset, (int, float)) else None,
        "options": [{"id": literal(o), "label": "none" if o is None else str(o)} for o in c.options],
        "low": c.low, "high": c.high, "step": c.step, "refused": refused,
    }  # fmt: skip


def bar(scene: Scene, budget: Budget | None = None, peak: Peak | None = None) -> dict[str, Any]:
    """State of the model bar: what it is, what it costs, and what of a budget that is."""
    inspection, subject = scene.inspection, scene.subject
    shape = inspection.input_shape
    facts = [f"{shape[-1]} px"] if len(shape) >= 3 else [f"{shape_text(shape)} values"]
    if inspection.inputs:
        facts = [inspection.input_text]
    elif len(shape) == 4:
        facts.insert(0, f"{shape[1]} frames")
    sized = side(subject)
    return {
        "name": inspection.name,
        "family": subject.family,
        "trained": subject.trained,
        "custom": subject.adopted is not None,
        "facts": [*facts, subject.dtype],
        "side": None if sized is None else {
            "key": sized[0], "value": str(sized[1]), "options": [{"id": str(n), "label": f"{n} px"} for n in sized[2]],
        },
        "device": scene.device,
        "devices": [{"id": k, "label": v} for k, v in devices().items()],
        "totals": totals(scene, budget or Budget(), peak or Peak()),
    }  # fmt: skip


def totals(scene: Scene, budget: Budget, peak: Peak) -> list[dict[str, Any]]:
    """What the model costs, each with its limit where there is one; a classifier's part told apart from the trunk's."""
    inspection, trunk = scene.inspection, scene.inspection.without_classifier()
    rows = [
        _total("parameters", formats.count, inspection.params, "params", budget.params, trunk.params),
        _total("MACs", formats.count, inspection.macs, "macs", budget.macs, trunk.macs),
    ]
    if budget.counts_memory:
        needed, made_of = peak.of(inspection, budget)
        rows.append(
            _total(f"{budget.mode}, batch {budget.batch}", formats.size, needed, "memory", budget.memory)
            | {"words": made_of}
        )
    else:
        weights = _total("weights", formats.size, inspection.param_bytes, "memory", None, trunk.param_bytes)
        rows.append(weights)
    if scene.last is not None:
        rows.append({"value": formats.seconds(scene.last.seconds), "label": LAST_RUN})
    return [{**row, "batch": budget.batch, "mode": budget.mode} if row.get("id") == "memory" else row for row in rows]


def _total(
    label: str, text: Callable[[float], str], n: int | None, key: str, limit: int | None, trunk: int | None = None
) -> dict[str, Any]:
    """A total; ``trunk`` is the part of it that is no classifier's."""
    apart = trunk is not None and n is not None and text(trunk) != text(n)
    return {
        "id": key,
        "label": label,
        "value": "–" if n is None else text(n),
        "limit": "" if limit is None else _short(text(limit)),
        "share": None if limit is None or n is None else n / limit,
        "trunk_share": None if limit is None or n is None or trunk is None else trunk / limit,
        "trunk": text(trunk) if apart and trunk is not None else "",
        "words": f"trunk {text(trunk)} + classifier {text(n - trunk)}" if apart and trunk is not None and n else "",
    }


def _short(figure: str) -> str:
    """ "12.0 M" -> "12 M" """
    number, _, unit = figure.partition(" ")
    return f"{float(number):g} {unit}".strip()


def block_map(scene: Scene) -> dict[str, Any]:
    """State of the map of blocks; where its blocks were measured it is coloured by time."""
    inspection, heads, blocks = scene.inspection, scene.subject.heads(), scene.inspection.trunk
    run, label = runs(blocks), labels([b.name for b in blocks], scene.subject.model.short_name)
    whole = {c["id"]: cost(inspection, c["id"]) or 1 for c in COLORS}  # each of which adds up all blocks
    times = times_of(scene.profile)
    amounts = {b.name: _amounts(b, whole, times, scene.knows) for b in blocks}
    shape = inspection.input_shape
    square = len(shape) in (3, 4) and shape[-1] == shape[-2]
    fields = [FIELD] if any("field" in of for of in amounts.values()) else []
    return {
        "input": " × ".join(map(str, shape[:-2])) + f" × {shape[-1]}²" if square else shape_text(shape),
        "blocks": [
            {
                "name": b.name,
                "label": label[b.name],
                "type": b.type,
                "group": _group(b.features),
                "shape": shape_text(b.output_shape),
                "width": b.features.channels if b.features else 0,
                "height": b.features.spatial[-1] if b.features and b.features.spatial else 0,
                "skip": b.has_skip,
                "off": b.name in scene.ablated,
                "run": run.get(b.name, ""),
                "shares": {measure: share for measure, (share, _) in amounts[b.name].items()},
                "values": {measure: text for measure, (_, text) in amounts[b.name].items()},
                "heads": [{"id": h, "label": head_label(heads[h][1])} for h in b.heads if h in heads],
                "kind": VIEW_KINDS[b.features.kind if b.features else VECTOR],
            }
            for b in blocks
        ],
        "color_by": "time" if times else "macs",
        "colors": [*COLORS, TIME, *fields, *([KNOWS] if scene.knows else [])],
        "sizes": [RESOLUTION, *fields, *COLORS, TIME],
    }


def _amounts(
    block: BlockInfo, whole: Mapping[str, int], times: Mapping[str, float], knows: Mapping[str, float]
) -> dict[str, tuple[float, str]]:
    """{measure: (what is drawn of it: a share of the whole, in words)} of a block; what is not known is left out."""
    found = {m: (cost(block, m) / all_of_it, cost_text(block, m)) for m, all_of_it in whole.items()}
    if block.name in times:
        found["time"] = times[block.name] / sum(times.values()), formats.seconds(times[block.name])
    field = block.receptive_field
    if field is not None and field.size is not None:
        found["field"] = max(field.size[-2:]) / max(field.image[-2:]), _field_text(field)
    if block.name in knows:
        found["knows"] = knows[block.name], formats.percent(knows[block.name])
    return found


def _field_text(field: ReceptiveField) -> str:
    """What one position sees: "19 px", "7 × 9 px", "all"."""
    size = field.size or ()
    if field.is_global:
        return "all"
    sides = size[-1:] if len(set(size[-2:])) == 1 else size[-2:]
    return " × ".join(map(str, sides)) + (" steps" if len(size) == 1 else " px")


def cost(of: BlockInfo | Inspection, measure: str) -> int:
    """One of `COLORS` of a block, or of the whole; activations are bytes."""
    amount: int = getattr(of, "activation_bytes" if measure == "activations" else measure)
    return amount


def cost_text(of: BlockInfo | Inspection, measure: str) -> str:
    """The same in words."""
    return (formats.size if measure == "activations" else formats.count)(cost(of, measure))


def stride_text(inspection: Inspection, block: str) -> str:
    """What a block does to the resolution, and where that leaves it: "stride 2 · 1/8 of the input"."""
    own = inspection.own_strides(block)
    return " · ".join(filter(None, [f"stride {strides_text(own)}" if own else "", inspection[block].of_input]))


def times_of(profile: Profile | None) -> dict[str, float]:
    """{row: seconds} of a profile; empty without one."""
    return {} if profile is None else {row.name: row.time_ms / 1000 for row in profile.rows}


def panel(scene: Scene) -> dict[str, Any]:
    """State of the panel of the chosen block."""
    inspection, block = scene.inspection, scene.block
    times = times_of(scene.profile)
    info = inspection[block]
    figures = (("parameters", "params"), ("MACs", "macs"), ("activations", "activations"))
    rows = [(label, cost_text(info, c), cost(info, c) / (cost(inspection, c) or 1)) for label, c in figures]
    if block in times:
        rows.append(("time", formats.seconds(times[block]), times[block] / sum(times.values())))
    return {
        "name": info.name,
        "type": info.type,
        "input": shape_text(info.input_shape),
        "output": shape_text(info.output_shape),
        "stride": stride_text(inspection, block),
        "sees": sees(info.receptive_field),
        "rows": [
            {"label": label, "share": round(share, 4), "value": value, "percent": formats.percent(share)}
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


def view(scene: Scene, seen: bool = True) -> tuple[dict[str, Any], bytes]:
    """(state, pixels) of the view of features; without the maps while another tab is what is seen."""
    maps = scene.maps()
    described, pixels = (None, b"") if maps is None else features(scene, maps)
    if described is not None and not seen:
        described, pixels = {**described, "maps": [], "orders": [], "names": []}, b""
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
        photographs = [] if scene.takes_vectors else sample_images()
        images, name = [{"name": str(s), "label": s.description} for s in photographs], scene.image_name or ""
        images += [{"name": str(s), "label": str(s)} for s in sample_digits() if scene.subject.takes_digits]
    if name and name not in [i["name"] for i in images]:
        images.append({"name": name, "label": PurePath(name).name})
    if images and not name:
        images.insert(0, {"name": "", "label": "choose a picture"})
    guesses = predictions(scene)
    return {
        "images": images,
        "image": name,
        "clip": scene.takes_clips,
        "runs": scene.runs,
        "lacks": _lacks_picture(scene),
        "takes": scene.inspection.input_text,
        "uploads": scene.takes_pictures,
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
    if _lacks_picture(scene):
        return f"Choose a picture, or upload one, to see what {scene.block} sees."
    if scene.runs:
        return f"Run the model to see what {scene.block} sees."
    name, shape = scene.subject.name, scene.inspection.input_shape
    like = f"torch.rand({', '.join(map(str, (1, *shape)))})"
    return (
        f"{name} takes inputs of {shape_text(shape)}, not pictures or clips: here it is inspected, not run. "
        f"Given one of its own, it runs on that: ck.explore(model, example={like})."
    )


def _lacks_picture(scene: Scene) -> bool:
    return scene.takes_pictures and scene.image is None


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
        "order": scene.sorted_by,
        "orders": orders(scene, maps),
        "names": class_names(scene, maps),
        "scale": scene.scale,
        "offset": scene.offset,
        "page_size": scene.page_size,
        "maps": [
            {"channel": channel, "low": brief(low), "high": brief(high)}
            for channel, (low, high) in zip(maps.channels, maps.limits.tolist(), strict=True)
        ],
    }
    unit = maps.to_unit().numpy()
    unit *= 65535
    return state, unit.round(out=unit).astype("<u2").tobytes()


def orders(scene: Scene, maps: FeatureMaps) -> list[dict[str, str]]:
    """How the maps can be sorted: by what they add to a class only where there are classes and places."""
    offered = [{"id": order, "label": order} for order in ORDERS]
    if maps.kind in (MAP2D, MAP3D, TOKENS) and scene.seen_picture() is not None:
        offered.append({"id": PICTURE, "label": "like the picture"})
    if maps.kind in (MAP2D, TOKENS) and scene.is_quick and scene.logits is not None:
        offered.append({"id": EVIDENCE, "label": f"evidence for {scene.target_name}"})
    return offered


def class_names(scene: Scene, maps: FeatureMaps) -> list[str]:
    """What the places of a vector are called, where it is the classes that the model tells apart; else nothing."""
    labels = scene.labels
    classes = maps.kind == VECTOR and scene.block == scene.block_names[-1] and len(labels) == maps.total
    return labels if classes else []


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
    return None if field is None else field.window()


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
