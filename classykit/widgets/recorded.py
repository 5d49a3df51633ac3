"""The Explorer in a file of its own: its blocks and tabs can be looked at offline, without Python."""

from __future__ import annotations

import base64
import copy
import html
import json
from collections.abc import Iterable, Mapping
from typing import Any

from classykit.exploring.pane import Pane
from classykit.exploring.scene import Scene
from classykit.widgets import bundle, present
from classykit.widgets.snapshot import snapshot

# Feature maps that are recorded at most; beyond that a block's figures are there without its maps.
MOST_BYTES = 12_000_000

# Tabs whose state is known for every block without another pass.
RECORDED = ("layers", "blocks")

# A page that can neither fetch nor send anything.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"


def page(scene: Scene, state: Mapping[str, Any], panes: Iterable[Pane], parts: list[str]) -> str:
    """What is on the screen as a page of its own, which shows any block that is chosen on it.

    Args:
        scene: what is on the screen; it is left as it is.
        state: the app's traits, as the browser has them.
        panes: the tabs there are.
        parts: the parts that the app is made of, for `bundle.script`.
    """
    there = [pane for pane in panes if pane.id in RECORDED and pane.applies]
    blocks, told = _by_block(scene, there)
    tabs = [tab for tab in state["tabs"] if tab["id"] not in {p.id for p in panes} or tab["id"] in RECORDED]
    small, large, frames = present.pictures(scene)
    start = {**state, **blocks[scene.block], "thumbnail": small, "picture": large, "frames": frames}
    start |= {"tabs": tabs, "status": "", "error": "", "busy": False, "pane_stays": {}}
    if start["tab"] not in [tab["id"] for tab in tabs]:
        start["tab"] = tabs[0]["id"]
    recording = {"state": start, "blocks": blocks, "panes": told}
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"<title>{html.escape(scene.subject.name)} · classykit</title>"
        f"<style>{bundle.style('explorer', parts)}\nbody {{ margin: 24px; }}</style></head>"
        f'<body><main><div id="explorer"><noscript>{snapshot(scene, alone=True)}</noscript></div></main>'
        f'<script type="application/json" id="recording">{_within_script(recording)}</script>'
        f'<script type="module">\n{bundle.script("explorer", parts, then="recorded")}</script></body></html>'
    )


def _by_block(scene: Scene, panes: list[Pane]) -> tuple[dict[str, Any], dict[str, Any]]:
    """({block: traits}, {tab: {block: traits}}) as the app has them when that block is chosen."""
    other = copy.copy(scene)
    if scene.last is not None:
        other.keep_all()
    mine = [type(pane)(other, lambda *_: None) for pane in panes]
    blocks: dict[str, Any] = {}
    told: dict[str, dict[str, Any]] = {pane.id: {} for pane in mine}
    left = MOST_BYTES
    for name in sorted(scene.block_names, key=lambda n: n != scene.block):  # the one on the screen comes first
        other.choose(name)
        view, pixels = present.view(other)
        left -= len(pixels)
        if left < 0:
            view, pixels = {**view, "features": None, "hint": f"The maps of {name} were not recorded."}, b""
        blocks[name] = {
            "panel_state": present.panel(other),
            "view_state": view,
            "pixels": pixels,
            "code": other.experiment.to_code(),
        }
        for pane in mine:
            if pane.due:
                pane.work()
            state, arrays = pane.show()
            told[pane.id][name] = {"pane_moves": {"tab": pane.id, **state}, "pane_pixels": arrays}
    return blocks, told


def _within_script(recording: Mapping[str, Any]) -> str:
    """As JSON that nothing in it can end: names come from people's models."""

    def plain(value: Any) -> Any:
        if isinstance(value, (bytes, memoryview)):
            return {"base64": base64.b64encode(value).decode()}
        raise TypeError(f"a {type(value).__name__} is no part of a page")

    return json.dumps(recording, default=plain).replace("<", "\\u003c")
