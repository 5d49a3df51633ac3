"""The views that people click: each one a thin anywidget, one ES module and one stylesheet under `static/`.

A view holds no logic. Its traits say what is on the screen, in finished words and figures; what a person does
comes back as a message `{"type": ..., ...}`, for `view.on_msg` to hand on. The Explorer is their controller.
"""

from pathlib import Path

import anywidget
import traitlets

__all__ = ["BlockMap", "BlockPanel", "CodeView", "FeatureView", "ModelBar"]

_STATIC = Path(__file__).parent / "static"


def _read(name: str) -> str:
    return (_STATIC / name).read_text(encoding="utf-8")


def _module(name: str) -> str:
    """One view's ES module. The shared helpers go in front: loaded from a blob, it can import nothing."""
    return _read("common.js") + "\n" + _read(f"{name}.js")


def _style(name: str) -> str:
    return _read("tokens.css") + "\n" + _read(f"{name}.css")


class ModelBar(anywidget.AnyWidget):
    """What the model is and what it costs, with the model picker, the device, progress and errors.

    Messages: `choose` (`name`), `device` (`device`), `dismiss`.
    """

    _esm = _module("model_bar")
    _css = _style("model_bar")

    state = traitlets.Dict(help="name, family, groups, trained, facts, devices, totals, ...").tag(sync=True)
    status = traitlets.Unicode(help="what is going on, announced politely").tag(sync=True)
    error = traitlets.Unicode(help="what went wrong, in plain words; empty hides it").tag(sync=True)
    busy = traitlets.Bool(False, help="whether something is under way").tag(sync=True)
    progress = traitlets.Float(-1.0, help="0 to 1, or -1 where nobody knows").tag(sync=True)


class BlockMap(anywidget.AnyWidget):
    """The whole network as one picture: a listbox named "Architecture", one option a block.

    `selected` goes both ways. Message: `measure`, when the colour is to be a time that was not measured.
    """

    _esm = _module("block_map")
    _css = _style("block_map")

    state = traitlets.Dict(help="input, blocks, color_by, colors").tag(sync=True)
    picture = traitlets.Unicode(help="the input as a data URL; empty for none").tag(sync=True)
    selected = traitlets.Unicode(help="the chosen block's name; empty for none").tag(sync=True)


class BlockPanel(anywidget.AnyWidget):
    """The chosen block: its shapes and costs, the heads that fit it, and those attached.

    Messages: `attach` (`head`, `num_classes` and `unique_id` as typed), `remove` (`id`), `select` (`block`).
    """

    _esm = _module("block_panel")
    _css = _style("block_panel")

    state = traitlets.Dict(help="name, type, input, output, stride, rows, heads, ...").tag(sync=True)


class FeatureView(anywidget.AnyWidget):
    """The picture or clip, what the model says about it, what the block's channels see; all blocks in figures.

    `frame` goes both ways. Messages: `image` (`name`), `upload` (`name`, and the file as the one buffer), `run`,
    `order` (`order`), `scale` (`scale`), `page` (`offset`), `select` (`block`).
    """

    _esm = _module("feature_view")
    _css = _style("feature_view")

    # a trait each, so that a click on a block sends only what it changes
    state = traitlets.Dict(help="of the chosen block: block, untrained, features, hint").tag(sync=True)
    source = traitlets.Dict(help="images, image, clip, ran, run_text, predictions, prediction_title").tag(sync=True)
    picture = traitlets.Unicode(help="the picture as a data URL; empty for none, or a clip").tag(sync=True)
    table = traitlets.Dict(help="all blocks in figures: columns, rows").tag(sync=True)
    pixels = traitlets.Bytes(
        help="uint16, little-endian, maps × steps × height × width: 0 is that map's low, 65535 its high"
    ).tag(sync=True)
    frames = traitlets.List(traitlets.Unicode(), help="the clip's frames as data URLs; empty for a picture").tag(
        sync=True
    )
    frame = traitlets.Int(0, help="the moment that is shown: a frame, or a time step where there is no clip").tag(
        sync=True
    )
    busy = traitlets.Bool(False, help="whether the model is running").tag(sync=True)


class CodeView(anywidget.AnyWidget):
    """The code that makes what is on the screen, with a button that copies it."""

    _esm = _module("code_view")
    _css = _style("code_view")

    code = traitlets.Unicode(help="Python code").tag(sync=True)
