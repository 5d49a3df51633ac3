"""What the app shows of the heads: what each is, takes and gives, and where it could go."""

from __future__ import annotations

from typing import Any

import torch

from classykit.exploring.design import head_controls
from classykit.exploring.scene import Scene
from classykit.features import shape_text
from classykit.heads.classy_head import HEADS, ClassyHead
from classykit.widgets.present import key_state, predictions

_SHOWN = 3  # classes or values of a head


def heads(scene: Scene) -> dict[str, Any]:
    """The heads that are attached, the model's own classifier first, and the keys of the kinds there are."""
    attached = [_attached(scene, block, head) for block, head in scene.subject.heads().values()]
    kinds = {name: [key_state(c) for c in head_controls(name) if c.name != "num_classes"] for name in HEADS}
    return {"own": _own_classifier(scene), "attached": attached, "kinds": kinds}


def untrained(scene: Scene) -> list[str]:
    """Of the attached heads those that have learnt nothing yet."""
    return [id for id, (_, head) in scene.subject.heads().items() if _is_untrained(scene, head)]


def _is_untrained(scene: Scene, head: ClassyHead) -> bool:
    running = scene.subject.head_with_weights(head.unique_id)
    return any(True for _ in head.parameters()) and (running is None or running.is_untrained)


def _own_classifier(scene: Scene) -> dict[str, Any] | None:
    """The block that makes classes of features, where the model has one itself."""
    blocks = [block for block in scene.inspection.classifier if not block.is_head]
    if not blocks:
        return None
    last, trained = blocks[-1], scene.subject.trained
    return {
        "id": last.name,
        "classes": f"{last.features.channels} classes" if last.features else "",
        "trained": trained or "",
        "bars": predictions(scene)[:_SHOWN],
    }


def _attached(scene: Scene, block: str, head: ClassyHead) -> dict[str, Any]:
    gave, new = scene.given.get(head.unique_id), _is_untrained(scene, head)
    labels = None if new else scene.subject.model.labels  # which its classes are not, by chance as many
    bars, note = given(head, gave, labels) if isinstance(gave, torch.Tensor) else ([], "")
    return {
        "id": head.unique_id,
        "block": block,
        "title": (head.registered_name or type(head).__name__).replace("_", " "),
        "classes": f"{head.num_classes} classes" if head.num_classes else "",
        "untrained": new,
        "bars": bars,
        "note": note,
        "keys": [key_state(c) for c in head_controls(head) if head.config["name"] != "identity"],
        "places": places(scene, block, head),
    }


def places(scene: Scene, block: str, head: ClassyHead) -> list[dict[str, str]]:
    """The blocks, each with why the head cannot go there; "" where it can."""
    found = []
    for row in scene.inspection.trunk:
        why = "gives no features" if row.features is None else type(head).misfit(row.features)
        found.append({"id": row.name, "why": "" if row.name == block else why or ""})
    return found


def given(head: ClassyHead, output: torch.Tensor, labels: Any) -> tuple[list[dict[str, Any]], str]:
    """(bars of what a head gave for one input, in its own labels where it has some; what else to say of it)."""
    if output.ndim != 2 or not output.numel():
        low, high = (f"{v:.3g}" for v in output.float().aminmax()) if output.numel() else ("0", "0")
        return [], f"gave {shape_text(tuple(output.shape[1:]))}: {low} to {high}"
    row = output[0].detach().float().cpu()
    of_classes = head.num_classes == len(row)
    if of_classes:
        row = row if row.min() >= 0 and abs(float(row.sum()) - 1) < 1e-3 else row.softmax(-1)  # some give shares
    best = (row if of_classes else row.abs()).topk(min(_SHOWN, len(row))).indices.tolist()
    most = float(row.abs().max()) or 1.0
    names = getattr(head, "labels", None) or labels
    named = of_classes and isinstance(names, (list, tuple)) and len(names) == len(row)
    bars = [
        {
            "label": str(names[i]) if named else f"{'class' if of_classes else 'channel'} {i}",
            "share": float(row[i]) if of_classes else abs(float(row[i])) / most,
            "value": f"{100 * float(row[i]):.0f} %" if of_classes else f"{float(row[i]):.3g}",
        }
        for i in best
    ]
    return bars, "" if of_classes else f"the largest of {len(row)} values"
