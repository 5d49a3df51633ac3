"""What the Compare tab shows of its models: blocks by stage, maps, figures beside each other, and keys that differ."""

from __future__ import annotations

from typing import Any

import torch

from classykit import formats
from classykit.comparing.compare_stages import places
from classykit.comparing.comparison import Comparison
from classykit.exploring.explored import Explored
from classykit.exploring.scene import Scene
from classykit.features import TOKENS, shape_text
from classykit.inspecting.block_info import BlockInfo
from classykit.inspecting.report_table import side
from classykit.models.factory import MODELS
from classykit.python_code import literal
from classykit.seeing.feature_maps import FeatureMaps, feature_maps

COLORS = {"macs": "MACs", "params": "parameters", "activation_bytes": "activations"}
MAPS = 8  # feature maps of each model


def listed(words: list[str]) -> str:
    """The words as people list them.

    >>> listed(["A"]), listed(["A", "B", "C"])
    ('A', 'A, B and C')
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def model_state(
    scene: Scene,
    letter: str,
    comparison: Comparison,
    stages: list[str],
    maps: FeatureMaps | None,
    array: dict[str, Any],
) -> dict[str, Any]:
    """One model: what it is, its blocks, and its maps."""
    inspection, subject = comparison[letter], scene.subject
    most = {c: max(getattr(b, c) for n in comparison.names for b in comparison[n].trunk) or 1 for c in COLORS}
    where = {block.name: place[2] for block, place in places(inspection)}
    short_name = subject.model.short_name
    info = scene.inspection[scene.block]
    guesses = scene.predictions()
    return {
        "letter": letter,
        "name": scene.inspection.name,
        "variant": _variant(subject),
        "trained": subject.trained or "",
        "block": scene.block,
        "shape": shape_text(info.output_shape),
        "sees": _sees(info),
        "field": info.receptive_field.window() if info.receptive_field is not None else None,
        "guess": f"{guesses[0][0]} {formats.percent(guesses[0][1])}" if guesses else _no_guess(scene),
        "blocks": [
            [
                b.name, short_name(b.name), stages.index(where[b.name]), b.features.channels if b.features else 0,
                _resolution(b), int(b.has_skip), *(round(getattr(b, c) / most[c], 3) for c in COLORS),
            ]
            for b in inspection.trunk
        ],
        "maps": None if maps is None else {"channels": maps.channels, "limits": _limits(maps)},
        "array": array,
    }  # fmt: skip


def _variant(subject: Explored) -> str:
    """The keys that make it another than its preset, in words."""
    keys = {} if subject.adopted is not None else subject.config
    words = ", ".join(f"{key} = {value}" for key, value in keys.items() if key not in ("name", "heads"))
    return words if len(words) <= 60 else f"{words[:59]}…"


def _sees(info: BlockInfo) -> str:
    field = info.receptive_field
    if field is None or field.size is None:
        return ""
    return "sees all" if field.is_global else f"sees {side(field)} px"


def _no_guess(scene: Scene) -> str:
    if scene.last is None:
        return "not run yet"
    return "no names of classes" if scene.inspection.classifier else "no classifier"


def _resolution(block: BlockInfo) -> int:
    """The side of a block's map; of tokens that of the square that they would make."""
    features = block.features
    if features is None:
        return 1
    if features.kind == TOKENS:
        return round(features.shape[0] ** 0.5)
    return features.spatial[-1] if features.spatial else 1


def first_maps(scene: Scene, order: str) -> FeatureMaps | None:
    """The first of the maps of a model's chosen block."""
    features = scene.features
    if not isinstance(features, torch.Tensor):
        return None
    by = scene.ranking if scene.sorted_by == order else order
    maps = feature_maps(features, by, count=MAPS, known=scene.known)
    return maps if maps.channels else None


def _limits(maps: FeatureMaps) -> list[list[float]]:
    """What the ends of each map's colours stand for."""
    return [[float(f"{value:.4g}") for value in pair] for pair in maps.limits.tolist()]


def stage_headings(comparison: Comparison) -> dict[str, str]:
    """{stage: what stands above it}: the resolution where all models have the same there."""
    sizes: dict[str, set[tuple[int, ...]]] = {}
    for name in comparison.names:
        blocks = {b.name for b in comparison[name].trunk}
        for block, place in places(comparison[name]):
            if block.name in blocks:
                spatial = block.features.spatial if block.features is not None else ()
                sizes.setdefault(place[2], set()).add(tuple(spatial))
    heading = {}
    for stage in comparison.aligned:
        if stage in sizes:
            same = next(iter(sizes[stage])) if len(sizes[stage]) == 1 else ()
            heading[stage] = " × ".join(map(str, same)) or stage
    return heading


def line(label: str, figures: list[Any], words: list[str]) -> dict[str, Any]:
    """A row of figures, with their shares of the largest and how they compare with the first."""
    most = max((n for n in figures if n is not None), default=0) or 1
    first = figures[0]
    return {
        "label": label,
        "values": words,
        "shares": [round((n or 0) / most, 4) for n in figures],
        "ratios": [_ratio(n, first) for n in figures[1:]],
    }


def _ratio(n: float | None, first: float | None) -> str:
    """How many times as much: "×1.8"; "" where that is not known.

    >>> _ratio(23.5, 3.37), _ratio(1, 3), _ratio(None, 3)
    ('×7', '×0.33', '')
    """
    if n is None or not first:
        return ""
    times = n / first
    return f"×{times:.0f}" if times >= 10 else f"×{times:.2g}"


def counted_in_words(comparison: Comparison, part: str) -> str:
    """What is counted, and what each model has besides."""
    sums = {n: sum(b.params for b in comparison.whole[n].classifier) for n in comparison.names}
    has = [f"{n} has a classifier of {formats.count(params)} parameters" for n, params in sums.items() if params]
    none = [n for n, params in sums.items() if not params]
    if none:
        has.append(f"{listed(none)} {'has' if len(none) == 1 else 'have'} none" if has else "none has a classifier")
    counted = "Counted without classifiers" if part == "trunk" else "Counted with classifiers"
    return f"{counted}: {', '.join(has)}."


def by_stage(comparison: Comparison, heading: dict[str, str]) -> list[dict[str, Any]]:
    """MACs and parameters of each stage, a figure a model, with their shares of the largest."""
    rows = {stage: models for stage, models in comparison.aligned.items() if stage in heading}
    most = {c: max((getattr(s, c) for of in rows.values() for s in of.values()), default=0) or 1
            for c in ("macs", "params")}  # fmt: skip
    return [
        {
            "label": heading[stage],
            **{
                c: [
                    [formats.count(getattr(of[n], c)), round(getattr(of[n], c) / most[c], 4)] if n in of else ["–", 0]
                    for n in comparison.names
                ]
                for c in most
            },
        }
        for stage, of in rows.items()
    ]


def differing_keys(scenes: list[Scene]) -> list[dict[str, Any]]:
    """The keys that differ between models of one family; none where no other is of the first one's."""
    subjects = [scene.subject for scene in scenes]
    if subjects[0].adopted is not None:
        return []
    kind = MODELS[subjects[0].config["name"]].cls
    alike = [s.adopted is None and MODELS[s.config["name"]].cls is kind for s in subjects]
    if sum(alike) < 2:
        return []
    configs = [subject.full_config if same else {} for subject, same in zip(subjects, alike, strict=True)]
    given = [config for config in configs if config]
    keys = dict.fromkeys(key for config in given for key in config if key not in ("name", "heads"))
    differing = [key for key in keys if any(config.get(key) != given[0].get(key) for config in given)]
    return [
        {"key": key, "values": [literal(config.get(key)) if config else "–" for config in configs]} for key in differing
    ]
