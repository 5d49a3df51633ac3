"""Attention: what each patch looks at, by layer and head; rollout, tokens as colours, and how far heads look."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from classykit.errors import ClassyKitError, ConfigError, StateError
from classykit.exploring.pane import Acts, Pane, Tell
from classykit.exploring.pixels import pack
from classykit.exploring.scene import Scene
from classykit.features import as_maps
from classykit.models.classy_model import ClassyModel
from classykit.python_code import literal
from classykit.seeing.attention import CHANNELS, Attention, AttentionLayer, attention
from classykit.seeing.capture import capture
from classykit.seeing.feature_pca import feature_pca, token_likeness

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEAN, ROLLOUT = -1, -2  # beside the heads, in the place of a head's number
HEADS = 8  # on a page of the grid
WHOLE = 400_000  # weights of a head that are sent for hovering: 800 kB; of more, those of the chosen query alone
LIKE = 256  # places whose likeness to each other is sent: 130 kB

CLASS, DISTILLATION, REGISTER = "class token", "distillation token", "register"
# what models call the weights that their tokens before the patches begin with, in the order of these tokens
_BEGINNINGS = {
    "cls_token": CLASS, "class_token": CLASS, "class_embedding": CLASS,
    "dist_token": DISTILLATION, "distillation_token": DISTILLATION,
    "reg_token": REGISTER, "register_tokens": REGISTER,
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What was read off one pass, and what the tab shows of it.

    Attributes:
        attention: what the verb gave.
        blocks: {layer: the block it is in, "" for none}.
        maps: {block: its features as maps, (1, C, h, w)}, where they have places.
        colours: {block: the same as colours, (3, h, w)}.
        rollouts: {layer: rollout up to there}; empty where layers have other tokens.
        apart, even: {layer: how far each head looks, how far it would if it looked at all alike}, in pixels.
        special: the names of the tokens before the patches, as far as the model's weights tell.
    """

    attention: Attention
    blocks: dict[str, str]
    maps: dict[str, torch.Tensor]
    colours: dict[str, torch.Tensor]
    rollouts: dict[str, torch.Tensor]
    apart: dict[str, list[float]]
    even: dict[str, float]
    special: list[str]

    def before(self, count: int) -> list[str]:
        """What so many tokens before the patches are called; by their numbers where the model does not tell."""
        if count == len(self.special):
            return self.special
        return [CLASS] if count == 1 and not self.special else [f"token {i}" for i in range(count)]


class AttentionPane(Pane):
    """What the model on the screen attends to, from one chosen place."""

    id, title = "attention", "Attention"
    stays = frozenset({"layers"})

    def __init__(self, scene: Scene, tell: Tell):
        super().__init__(scene, tell)
        self._found: Found | None = None
        self._refused = ""  # why it could not be read
        self._of: Any = None  # the scene's pictures when it was read: another list once the model or its input changed
        self._layer, self._block = "", ""  # the chosen layer, and the block that was chosen then
        self._head, self._first = 0, 0
        self._where: tuple[float, float] | None = None  # the chosen patch, as parts of the picture; None for none
        self._token: int | None = None  # the chosen token before the patches, where no patch is; None: by default

    # ---- reading ----

    @property
    def applies(self) -> bool:
        """Where there is attention, as far as the code of the layers tells."""
        return self.scene.subject.attends

    @property
    def due(self) -> bool:
        """Where another pass may be made unasked, and nothing of this model and picture was read or refused."""
        return self.scene.is_quick and self._of is not self.scene.pictures

    def work(self) -> None:
        """Read what every layer attends to."""
        scene = self.scene
        try:
            found = self._read()
        except ClassyKitError as error:
            self._found, self._refused, self._of = None, str(error), scene.pictures
            raise
        self._found, self._refused, self._of = found, "", scene.pictures

    def _read(self) -> Found:
        scene, name = self.scene, self.scene.subject.name
        self.tell(f"Reading what {name} attends to …", 0, 3)
        model = scene.subject.go_live(scene.device)
        x = scene.input_for(model)
        read = attention(model, x)
        self.tell(f"Reading the tokens of {name} …", 1, 3)
        blocks = {layer.name: _block_of(layer, model, scene.block_names) for layer in read.layers}
        maps, colours = self._tokens(model, x, sorted(set(blocks.values()) - {""}, key=scene.block_names.index))
        self.tell(f"Following the attention of {name} …", 2, 3)
        try:
            rollouts = read.rollouts()
        except ConfigError:  # layers with other tokens
            rollouts = {}
        apart = {} if read.size is None else {k: v.tolist() for k, v in read.distance().items()}
        even = {layer: read.uniform_distance(layer) for layer in apart}
        checked = sum(layer.verified for layer in read.layers)
        of = "each" if read.verified else f"{checked} of {len(read)}"
        self.tell(f"Attention of {len(read)} layers read: weights × values equal what {of} of them gave.", 3, 3)
        return Found(read, blocks, maps, colours, rollouts, apart, even, special_tokens(model))

    def _tokens(
        self, model: ClassyModel, x: Any, blocks: list[str]
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """The blocks' features as maps and as colours, where they have places."""
        shape = self.scene.inspection.input_shape
        size = (shape[-2], shape[-1]) if len(shape) == 3 else None
        maps, colours = {}, {}
        for block, features in (capture(model, x, blocks) if blocks else {}).items():
            places = as_maps(features, size, self.scene.inspection[block].features)
            if places is None or places.ndim != 4 or min(places.shape[1], places[0, 0].numel()) < 3:
                continue
            maps[block] = places.detach().float().cpu()
            colours[block] = feature_pca(maps[block])[0]
        return maps, colours

    def _ready(self) -> Found:
        """What was read; StateError where that is of something else by now."""
        if self._found is None or self._of is not self.scene.pictures:
            raise StateError("What the model attends to is not read yet: press See its attention.")
        return self._found

    # ---- what is chosen ----

    def _chosen(self, found: Found) -> AttentionLayer:
        """The chosen layer: that of the block on the map, where it has attention, else the last one looked at."""
        if self._layer not in found.attention or self._block != self.scene.block:
            mine = [name for name, block in found.blocks.items() if block == self.scene.block]
            if mine or self._layer not in found.attention:
                self._layer = (mine or list(found.blocks))[0 if mine else -1]
            self._block = self.scene.block
        return found.attention.layer(self._layer)

    def _query(self, found: Found, layer: AttentionLayer) -> tuple[int, int] | int:
        """Which query of a layer is looked at: the chosen patch, or what lies there; or the chosen token before them.

        By default it is the class token where there is one, else the patch in the middle: registers stand for nothing.
        """
        grid, before = _query_grid(layer), found.before(layer.query_prefix)
        if grid is not None and self._where is not None:
            row, column = (int(part * of) for part, of in zip(self._where, grid, strict=True))
            return column if layer.query_map is None else (row, column)
        if layer.query_map is None or (before and (self._token is not None or before[0] != f"{REGISTER} 1")):
            return min(self._token or 0, max(len(before) - 1, 0))
        return layer.query_map[0] // 2, layer.query_map[1] // 2

    def _follow_scene(self, layer: AttentionLayer) -> None:
        """Take a place over that was chosen elsewhere, where the layer has it."""
        grid, place = _query_grid(layer), self.scene.position
        if grid is not None and place is not None and place[0] < grid[0] and place[1] < grid[1]:
            self._where = (place[0] + 0.5) / grid[0], (place[1] + 0.5) / grid[1]

    def _head_of(self, found: Found, layer: AttentionLayer) -> int:
        head = MEAN if self._head == ROLLOUT and not found.rollouts else self._head
        return min(head, layer.heads - 1)

    @property
    def acts(self) -> Acts:
        """Read it; choose a patch, a token before the patches, a cell of the grid, a page of heads."""
        return {
            "attention_read": ({}, lambda m: self.work()),
            "attention_place": ({"row": int, "column": int}, lambda m: self._choose_place(m["row"], m["column"])),
            "attention_token": ({"token": int}, lambda m: self._choose_token(m["token"])),
            "attention_cell": ({"layer": int, "head": int}, lambda m: self._choose_cell(m["layer"], m["head"])),
            "attention_heads": ({"first": int}, lambda m: self._turn(m["first"])),
        }

    def _choose_place(self, row: int, column: int) -> None:
        layer = self._chosen(self._ready())
        layer.place((row, column) if layer.query_map is not None else column)  # which says so where there is none
        self.scene.position = row, column
        self._follow_scene(layer)

    def _choose_token(self, token: int) -> None:
        layer = self._chosen(found := self._ready())
        if not 0 <= token < layer.query_prefix:
            there = ", ".join(f"{i}: {name}" for i, name in enumerate(found.before(layer.query_prefix)))
            raise ConfigError(f"{layer.name} has no token {token} before its patches; there is {there or 'none'}.")
        self._where, self._token, self.scene.position = None, token, None

    def _choose_cell(self, number: int, head: int) -> None:
        found = self._ready()
        if not 0 <= number < len(found.attention.layers):
            raise ConfigError(f"There are layers 0 to {len(found.attention.layers) - 1}, not {number}.")
        layer = found.attention.layers[number]
        if not ROLLOUT <= head < layer.heads or (head == ROLLOUT and not found.rollouts):
            raise ConfigError(f"{layer.name} has heads 0 to {layer.heads - 1}, not {head}.")
        self._follow_scene(self._chosen(found))
        block = found.blocks[layer.name]
        if block and block != self.scene.block:
            self.scene.choose(block)
            place = _spot(layer, self._query(found, layer))
            self.scene.position = None if self._where is None or place[0] < 0 else place
        self._layer, self._head, self._block = layer.name, head, self.scene.block

    def _turn(self, first: int) -> None:
        most = max(layer.heads for layer in self._ready().attention.layers)
        self._first = max(0, min(first, most - 1)) // HEADS * HEADS

    # ---- showing ----

    def show(self) -> tuple[dict[str, Any], bytes]:
        """What the chosen place attends to, beside all layers and heads; or how to come to that."""
        untrained = self.scene.subject.trained is None
        try:
            found = self._ready()
        except StateError:
            return {**self._hint(), "untrained": untrained}, b""
        layer = self._chosen(found)
        self._follow_scene(layer)
        head, query = self._head_of(found, layer), self._query(found, layer)
        most = max(each.heads for each in found.attention.layers)
        first = min(self._first, (most - 1) // HEADS * HEADS)
        matrix, whole = _matrix(found, layer, head, query)
        block = found.blocks[layer.name]
        like = found.maps.get(block)
        likeness = token_likeness(like)[0] if like is not None and like[0, 0].numel() <= LIKE else torch.empty(0)
        places = torch.empty(0) if layer.places is None else layer.places.float()
        thumbs = [self._thumbs(found, each, first) for each in found.attention.layers]
        described, pixels = pack([matrix, places, likeness, *thumbs, *found.colours.values()])
        rows, columns = layer.map_grid or (1, layer.weights.shape[-1])
        grid = _query_grid(layer)
        row, column = _spot(layer, query)
        state = {
            "untrained": untrained,
            "doubt": _doubt(layer),
            "layers": [
                {"name": each.name, "heads": each.heads, "apart": [round(d, 2) for d in found.apart.get(each.name, [])],
                 "even": round(found.even.get(each.name, 0.0), 2)}
                for each in found.attention.layers
            ],
            "layer": found.attention.layers.index(layer),
            "head": head,
            "first": first,
            "most": most,
            "rollout": bool(found.rollouts),
            "whole": whole,
            "row": row,
            "column": column,
            "rows": rows,
            "columns": columns,
            "prefix": layer.prefix,
            "before": found.before(layer.prefix),
            "query_before": found.before(layer.query_prefix),
            "query_rows": grid[0] if grid else 0,
            "query_columns": grid[1] if grid else 0,
            "what": _what(layer),
            "even": 1 / layer.weights.shape[-1],
            "tokens": [
                {"block": name, "layer": next(i for i, each in enumerate(found.attention.layers)
                                              if found.blocks[each.name] == name)}
                for name in found.colours
            ],
            "block": block,
            "arrays": described,
        }  # fmt: skip
        return state, pixels

    def _hint(self) -> dict[str, Any]:
        scene = self.scene
        if self._refused and self._of is scene.pictures:
            return {"hint": self._refused, "asks": ""}
        if scene.picture is None and not scene.takes_clips and scene.subject.example is None:
            return {"hint": "Choose a picture to see what the model attends to.", "asks": ""}
        return {
            "hint": f"A pass of {scene.subject.name} on {scene.device} shows what each of its layers attends to.",
            "asks": "See its attention",
        }

    def _thumbs(self, found: Found, layer: AttentionLayer, first: int) -> torch.Tensor:
        """What the chosen place attends to: a page of heads, their mean, and rollout, (cells, rows, columns)."""
        query = self._query(found, layer)
        maps = _on_grid(layer, query)
        shown = [*maps[first : first + HEADS], maps.mean(0)]
        if found.rollouts:
            shown.append(_rolled(found, layer, query))
        return torch.stack(shown)

    def code(self) -> str:
        """The row that is shown, and the same as a figure."""
        try:
            found = self._ready()
        except StateError:
            return ""
        layer = self._chosen(found)
        head, query, name = self._head_of(found, layer), self._query(found, layer), literal(layer.name)
        of = {MEAN: ".mean(0)", ROLLOUT: ""}.get(head, f"[{head}]")
        if head == ROLLOUT:
            row = f"att.rollouts()[{name}][0, {layer.query_number(query)}]"
        elif layer.map_grid is not None:
            row = f"att.layer({name}).on_grid(0, {query}){of}"
        else:
            row = f"att[{name}][0, :, {layer.query_number(query)}]{of}"
        lines = ["att = ck.attention(model, x)", f"row = {row}  # what that place attends to"]
        keys = self._plotted(found)
        if keys is not None:
            what = ", ".join(f"{key}={literal(value)}" for key, value in keys.items() if key != "query")
            lines.append(f"att.plot({what}, query={query})")
        return "\n".join(lines)

    def figure(self) -> Figure | None:
        """The heads of the chosen layer beside the picture, or rollout."""
        try:
            found = self._ready()
        except StateError:
            return None
        keys = self._plotted(found)
        return None if keys is None else found.attention.plot(**keys)

    def _plotted(self, found: Found) -> dict[str, Any] | None:
        """What `Attention.plot` is asked for; None where the layer lies on no grid."""
        layer = self._chosen(found)
        if layer.map_grid is None:
            return None
        what = {"what": "rollout"} if self._head_of(found, layer) == ROLLOUT else {"layer": layer.name}
        return {**what, "query": self._query(found, layer)}


def special_tokens(model: nn.Module) -> list[str]:
    """What the tokens before the patches are called, by the weights that they begin with; empty where none tells.

    >>> from classykit.models import build_model
    >>> special_tokens(build_model("vit_demo", device="meta"))
    ['class token']
    """
    counts = dict.fromkeys(_BEGINNINGS.values(), 0)
    for path, weight in model.named_parameters():
        kind = _BEGINNINGS.get(path.rpartition(".")[2])
        if kind is not None:
            counts[kind] += weight.shape[-2] if weight.ndim > 1 else 1
    if max(counts[CLASS], counts[DISTILLATION]) > 1:  # several in one, of which nobody says what they are
        return []
    registers = [f"{REGISTER} {i + 1}" for i in range(counts[REGISTER])]
    return [kind for kind in (CLASS, DISTILLATION) if counts[kind]] + registers


def _block_of(layer: AttentionLayer, model: ClassyModel, names: list[str]) -> str:
    """The block on the map that a layer is in, the innermost; "" for none."""
    paths = {name: path for name, path in model.block_paths().items() if name in names}
    around = [name for name, path in paths.items() if path == "" or f"{layer.path}.".startswith(f"{path}.")]
    return max(around, key=lambda name: len(paths[name]), default="")


def _query_grid(layer: AttentionLayer) -> tuple[int, int] | None:
    """(rows, columns) of the queries to choose from, in one row where they lie on no grid; None for class tokens."""
    if layer.query_map is None and not layer.query_prefix:
        return 1, layer.weights.shape[-2]
    return layer.query_map


def _spot(layer: AttentionLayer, query: tuple[int, int] | int) -> tuple[int, int]:
    """Where a query is among those; (-1, its number) for a token before the patches."""
    if isinstance(query, tuple):
        return query
    return (0 if layer.query_map is None and not layer.query_prefix else -1), query


def _what(layer: AttentionLayer) -> str:
    """What a query is called."""
    if layer.map_grid is not None:
        return "patch"
    if layer.windows > 1:
        return "token of the first window"
    return "channel" if layer.kind == CHANNELS else "token"


def _on_grid(layer: AttentionLayer, query: tuple[int, int] | int) -> torch.Tensor:
    """(heads, rows, columns); where there is no grid, all keys in a row."""
    if layer.map_grid is not None:
        return layer.on_grid(0, query)
    return layer.weights[0, :, layer.query_number(query)].unsqueeze(1)


def _rolled(found: Found, layer: AttentionLayer, query: tuple[int, int] | int) -> torch.Tensor:
    """Rollout up to a layer, (rows, columns)."""
    row = found.rollouts[layer.name][0, layer.query_number(query)]
    return row.unsqueeze(0) if layer.grid is None else row[layer.prefix :].reshape(layer.grid)


def _matrix(found: Found, layer: AttentionLayer, head: int, query: tuple[int, int] | int) -> tuple[torch.Tensor, bool]:
    """(the weights of a head, (windows, L, S), whether that is all of them): of very many those of one query alone."""
    if head == ROLLOUT:
        weights = found.rollouts[layer.name][:1]
    else:
        weights = layer.weights.mean(1) if head == MEAN else layer.weights[:, head]
    if math.prod(weights.shape) <= WHOLE:
        return weights, True
    return weights[None, layer.window(query), layer.query_number(query), None], False


def _doubt(layer: AttentionLayer) -> str:
    """Why the weights of a layer are not checked; "" where they are."""
    if layer.verified:
        return ""
    if math.isinf(layer.error):
        return "what becomes of weights × values could not be followed to the end of the layer"
    return f"weights × values differ from what the layer gave by {100 * layer.error:.2g} %"
