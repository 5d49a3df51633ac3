"""`attention`: what each layer of a model attends to, read off as it runs and checked on the spot."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from classykit.contexts import verb
from classykit.errors import BlockError, ConfigError, quoted, suggest
from classykit.features import patch_grid
from classykit.finding import Finding
from classykit.models.classy_model import Adapter, ClassyModel
from classykit.nested import Inputs
from classykit.running.recording import passed
from classykit.seeing.attention_watch import AttentionWatch, Caught
from classykit.seeing.view import View, view
from classykit.seeing.watching import watching
from classykit.subject import block_list, block_paths
from classykit.tables import Cell, Column, Line, Table

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

TOKENS, WINDOWS, SPREAD, CHANNELS = "tokens", "windows", "spread windows", "channels"


@dataclass(frozen=True)
class AttentionLayer:
    """The attention of one layer.

    Attributes:
        name: the block where a backbone of this kit has one of that attention alone, else the layer's dotted path.
        path: the layer's dotted path.
        weights: after the softmax, (N, heads, L, S): each of L queries attends to S keys with weights that sum to 1.
            Where a layer attends within windows, N counts pictures × windows.
        kind: "tokens" (every token attends to every other), "windows" (to those in its window, taken to be a rectangle
            of neighbours), "spread windows" (those of a window are spread over the map, where the layer's path says
            "grid"), or "channels" (queries and keys are channels, not places).
        windows: how many there are in a picture; 1 without.
        grid: (rows, columns) of the keys that are patches; None where they lie on no grid.
        prefix: how many tokens come before the patches: class, register and distillation tokens.
        query_grid, query_prefix: the same of the queries.
        error: relative difference of what the layer gave and of weights × values, carried to the layer's end.
        verified: whether that is at most 1e-4 (or what the number type allows).
        mixed: whether heads are mixed after the softmax, so that it is mixtures of weights that meet the values.
        tiles: (rows, columns) of the windows in the picture; None without, or where they do not cover it evenly.
        shift: by how many places, down and to the right, the windows are shifted, as every other layer of a Swin's.
    """

    name: str
    path: str
    weights: torch.Tensor = field(repr=False)
    kind: str
    windows: int
    grid: tuple[int, int] | None
    prefix: int
    query_grid: tuple[int, int] | None
    query_prefix: int
    error: float
    verified: bool
    mixed: bool = False
    tiles: tuple[int, int] | None = None
    shift: tuple[int, int] = (0, 0)

    @property
    def heads(self) -> int:
        """How many there are."""
        return self.weights.shape[1]

    @property
    def map_grid(self) -> tuple[int, int] | None:
        """(rows, columns) of the keys that are patches in the whole picture; None where they lie on no grid."""
        if self.windows == 1 or self.grid is None:
            return self.grid
        return None if self.tiles is None else (self.tiles[0] * self.grid[0], self.tiles[1] * self.grid[1])

    @property
    def query_map(self) -> tuple[int, int] | None:
        """The same of the queries."""
        return self.query_grid if self.windows == 1 else self.map_grid

    @property
    def places(self) -> torch.Tensor | None:
        """Which place of `map_grid`, counted by rows, each key of each window is: (windows, S); None without windows.

        A window that is shifted over the picture's edge goes on at the other side.
        """
        if self.windows == 1 or self.map_grid is None or self.grid is None or self.tiles is None:
            return None
        (height, width), (tall, wide), (down, across) = self.grid, self.tiles, self.tiles
        numbers = torch.arange(math.prod(self.map_grid)).view(self.map_grid)
        numbers = numbers.roll((-self.shift[0], -self.shift[1]), (0, 1))
        if self.kind == SPREAD:
            parts = numbers.view(height, tall, width, wide).permute(1, 3, 0, 2)
        else:
            parts = numbers.view(down, height, across, width).permute(0, 2, 1, 3)
        return parts.reshape(self.windows, -1)

    def on_grid(self, index: int, query: tuple[int, int] | int | None = None) -> torch.Tensor:
        """What one query of picture ``index`` attends to, over the whole picture: (heads, rows, columns).

        ``query``: (row, column) of a patch, or the number of a token before the patches, 0 for the class token.
        Default: the class token where there is one, else the patch in the middle. Within windows all that is outside
        the query's window is 0. Raises ConfigError where there is no grid, or no such query.
        """
        if self.map_grid is None:
            raise ConfigError(
                f"The attention of {self.name} is between {self.kind} that lie on no grid, so there is no map of it "
                f"over the picture."
            )
        number, places = self.query_number(query), self.places
        if places is None:
            return self.weights[index, :, number, self.prefix :].reshape(self.heads, *self.map_grid)
        window = self.window(query)
        spread = self.weights.new_zeros(self.heads, math.prod(self.map_grid))
        spread[:, places[window].to(spread.device)] = self.weights[index * self.windows + window, :, number]
        return spread.reshape(self.heads, *self.map_grid)

    def place(self, query: tuple[int, int] | int | None = None) -> tuple[int, int] | None:
        """(row, column) of the query that is meant (see `on_grid`); None for one that is no patch."""
        grid, prefix = self.query_map, self.query_prefix
        if query is None:
            return None if prefix or grid is None else (grid[0] // 2, grid[1] // 2)
        if type(query) is int and 0 <= query < max(prefix, 0 if grid else self.weights.shape[2]):
            return None
        if isinstance(query, tuple) and len(query) == 2 and all(type(q) is int for q in query) and grid is not None:
            row, column = query
            if 0 <= row < grid[0] and 0 <= column < grid[1]:
                return row, column
        places = f"(row, column) within {grid[0]} × {grid[1]} patches" if grid else "the number of a query"
        before = f", or the number of one of the {prefix} tokens before them" if prefix and grid else ""
        raise ConfigError(f"query is {places}{before}, not {quoted(query)}.")

    def query_number(self, query: tuple[int, int] | int | None = None) -> int:
        """Which of the L queries is meant (see `on_grid`); within windows, which of its window's."""
        place, grid = self.place(query), self.query_map
        if place is None or grid is None:
            return query if isinstance(query, int) else 0
        number = place[0] * grid[1] + place[1]
        return self.query_prefix + number if self.places is None else int((self.places == number).nonzero()[0, 1])

    def window(self, query: tuple[int, int] | int | None = None) -> int:
        """Which window the query is in; 0 without windows."""
        place, grid = self.place(query), self.query_map
        if self.places is None or place is None or grid is None:
            return 0
        return int((self.places == place[0] * grid[1] + place[1]).nonzero()[0, 0])


class _Recipe(nn.Module):
    """How a model takes pictures, without its weights: what was seen keeps no model alive."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.preprocessing = getattr(model, "preprocessing", None)


class Attention(Finding, Mapping[str, torch.Tensor]):
    """Attention weights of a model: a mapping {layer: (N, heads, L, L)}, in the order in which the layers ran.

    A layer is found by its name here, by its dotted path, or by the block that it is the only attention of.

    Attributes:
        layers: an `AttentionLayer` each.
        size: (height, width) of the pictures, in pixels; None for other inputs.
        notes: what else there is to say.
    """

    def __init__(self, name: str, layers: tuple[AttentionLayer, ...], look: View, found: Mapping[str, str]):
        self.name, self.layers, self.size, self.notes = name, layers, look.size, look.notes
        self._names = found  # other names of the layers
        self._look = replace(look, model=_Recipe(look.model))

    def layer(self, name: str | int) -> AttentionLayer:
        """A layer, by any name that it has, or by its number, from the end too; BlockError for one that is none."""
        if type(name) is int and -len(self.layers) <= name < len(self.layers):
            return self.layers[name]
        meant = self._names.get(name, name) if isinstance(name, str) else name
        for layer in self.layers:
            if meant in (layer.name, layer.path):
                return layer
        near = suggest(name, [layer.name for layer in self.layers]) if isinstance(name, str) else ""
        names = ", ".join(layer.name for layer in self.layers[:3])
        raise BlockError(
            f"No attention of {self.name} is called {quoted(name)}.{near} There are {len(self.layers)}: {names}"
            f"{', …' if len(self.layers) > 3 else ''}."
        )

    def __getitem__(self, name: str) -> torch.Tensor:
        return self.layer(name).weights

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and bool(self.layer(name))
        except BlockError:
            return False

    def __iter__(self) -> Iterator[str]:
        return iter(layer.name for layer in self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    @property
    def grid(self) -> tuple[int, int] | None:
        """(rows, columns) of the patches; of the first layer where they differ (each layer has its own)."""
        return self.layers[0].grid

    @property
    def prefix(self) -> int:
        """How many tokens come before the patches; of the first layer where they differ."""
        return self.layers[0].prefix

    @property
    def verified(self) -> bool:
        """Whether every layer is."""
        return all(layer.verified for layer in self.layers)

    def picture(self, index: int = 0) -> np.ndarray | None:
        """A picture of the batch in ordinary colours, (H, W, 3) from 0 to 1; None where there is none."""
        return self._look.shown(index)

    def rollout(self) -> torch.Tensor:
        """How much each token draws on each token of the first layer, through all layers; see `rollouts`."""
        return list(self.rollouts().values())[-1]

    def rollouts(self) -> dict[str, torch.Tensor]:
        """How much each token draws on each token of the first layer, through each layer: {layer: (N, L, L)}.

        Attention rollout (Abnar and Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020): the mean of the
        heads, half of it in the place of the residual, A' = ½ A + ½ I, multiplied from layer to layer; rows sum to 1.
        An approximation: it knows nothing of the values, nor of what the MLPs do. Raises ConfigError where layers have
        other tokens.
        """
        first = self.layers[0].weights.shape
        for layer in self.layers:
            if layer.kind != TOKENS or layer.weights.shape[-2:] != (first[-1], first[-1]):
                raise ConfigError(
                    f"Rollout multiplies the attention of layers with the same tokens; in {self.name}, {layer.name} "
                    f"has {layer.weights.shape[-2]} × {layer.weights.shape[-1]} {layer.kind}, {self.layers[0].name} "
                    f"{first[-2]} × {first[-1]}. Ask for layers that are alike: attention(model, x, layers=[...])."
                )
        rolled = itself = torch.eye(first[-1], device=self.layers[0].weights.device)
        through = {}
        for layer in self.layers:
            through[layer.name] = rolled = (0.5 * layer.weights.float().mean(1) + 0.5 * itself) @ rolled
        return through

    def distance(self) -> dict[str, torch.Tensor]:
        """How far each head looks: {layer: (heads,)}, in pixels.

        The mean distance between the middles of the patches that attend and are attended to, weighted by attention and
        averaged over queries and pictures (Dosovitskiy et al., 2020, figure 7). Tokens that are no patches are left
        out. Layers without places, as those over channels, are left out. Raises ConfigError where there is no picture.
        """
        if self.size is None:
            raise ConfigError(f"Distances are those of pictures, and {self.name} was given something else.")
        return {layer.name: found for layer in self.layers if (found := _distance(layer, self.size)) is not None}

    def uniform_distance(self, name: str | int) -> float:
        """What `distance` would be in a layer that attends to all its patches alike."""
        layer = self.layer(name)
        even = torch.ones_like(layer.weights[:1, :1])
        found = None if self.size is None else _distance(replace(layer, weights=even), self.size)
        return math.nan if found is None else float(found)

    def heading(self) -> str:
        n = self._look.images.shape[0] if self._look.images is not None else Inputs.of(self._look.x).batch_size
        pictures = "1 input" if n == 1 else f"{n} inputs"
        checked = "all verified" if self.verified else f"{sum(x.verified for x in self.layers)} verified"
        return f"Attention of {self.name}, {pictures}: {len(self.layers)} layers, {checked}"

    def table(self) -> Table:
        columns = [Column("layer"), Column("heads", right=True), Column("queries × keys", right=True),
                   Column("patches"), Column("before them", right=True, dispensable=1), Column("verified")]  # fmt: skip
        lines = []
        for layer in self.layers:
            grid = layer.kind if layer.grid is None else f"{layer.grid[0]} × {layer.grid[1]}"
            if layer.windows > 1:
                grid += f" in {layer.windows} {layer.kind}"
            size = f"{layer.weights.shape[-2]} × {layer.weights.shape[-1]}"
            checked = ("yes" if layer.verified else "no") + (", heads mixed" if layer.mixed else "")
            lines.append(Line([*map(Cell, (layer.name, str(layer.heads), size, grid, str(layer.prefix), checked))]))
        return Table(columns, lines)

    def plot(
        self, what: str = "heads", *, query: tuple[int, int] | int | None = None, layer: str | int = -1, index: int = 0
    ) -> Figure:
        """Draw it: the heads of a layer beside the picture, or how far heads look.

        Args:
            what: "heads", "rollout" or "distance".
            query: which token attends: (row, column) of a patch, or the number of a token before the patches. Default:
                the class token, or the patch in the middle.
            layer: for "heads": by name, or by number. Default the last.
            index: which picture of the batch.

        Returns a matplotlib Figure that belongs to no pyplot window.
        """
        from classykit.plots.attention import attention_distance, attention_heads, attention_rollout

        draw = {"heads": attention_heads, "rollout": attention_rollout, "distance": attention_distance}
        if what not in draw:
            raise ConfigError(f"what is one of {', '.join(map(repr, draw))}, not {quoted(what)}.")
        if what == "distance":
            return attention_distance(self)
        return (
            attention_rollout(self, query, index) if what == "rollout" else attention_heads(self, query, layer, index)
        )


@verb
def attention(model: nn.Module, x: Any, layers: str | Iterable[str] | None = None) -> Attention:
    """What each layer of a model attends to: weights after the softmax, from one pass in eval mode.

    Args:
        model: a ClassyModel or any nn.Module whose attention goes through ``scaled_dot_product_attention``,
            ``nn.MultiheadAttention``, or a softmax of a product of matrices; nothing of it is changed.
        x: an input as the model takes it, e.g. (N, 3, H, W), `classykit.Inputs`, or pictures as `classykit.run` takes.
        layers: names of blocks or dotted paths, whose attention is wanted. Default: all.

    Returns an `Attention`, a mapping {layer: (N, heads, L, L)}. The weights are exact. Each layer is verified on the
    spot: weights × values, carried through the output projection, equal what the layer gave to 1e-4; one that does
    not is marked. What weights say of a decision is another matter.

    Raises ConfigError for a model without attention of these kinds, BlockError for a layer without attention or an
    unknown one, ShapeError when the pass fails, DeviceError when there are no weights, or memory runs out.

    >>> from classykit.models import build_model
    >>> vit = build_model("vision_transformer", image_size=32, patch_size=8, num_layers=2, num_heads=2,
    ...                   hidden_dim=16, mlp_dim=32)
    >>> a = attention(vit, torch.rand(1, 3, 32, 32))
    >>> list(a), a["layer_0"].shape, a.grid, a.prefix, a.verified
    (['layer_0', 'layer_1'], torch.Size([1, 2, 17, 17]), (4, 4), 1, True)
    """
    look = view(model, x)
    wanted = None if layers is None else block_paths(look.model, block_list(layers))
    watch = AttentionWatch()
    with torch.no_grad(), watching(watch, look.model):
        passed(look.model, look.x)
    if not watch.caught:
        raise ConfigError(
            f"No attention was seen in {look.name}: nothing in it goes through scaled_dot_product_attention, "
            f"nn.MultiheadAttention, or a softmax of a product of matrices. Models that attend are vit_b_16, or timm's "
            f"and transformers' vision transformers."
        )
    names = _named([caught.path for caught in watch.caught], look.model)
    described = [_layer(name, caught, look) for name, caught in zip(names, watch.caught, strict=True)]
    if wanted is not None:
        for name, path in wanted.items():
            if not any(_is_in(one.path, path) for one in described):
                have = ", ".join(one.name for one in described[:3])
                raise BlockError(f"There is no attention in {quoted(name)}. {look.name} has some in {have}, …")
        described = [one for one in described if any(_is_in(one.path, path) for path in wanted.values())]
    return Attention(look.name, tuple(described), look, _other_names(described, look.model))


def _is_in(path: str, of: str) -> bool:
    return path == of or path.startswith(f"{of}.") or not of


def _named(paths: list[str], model: nn.Module) -> list[str]:
    """What the layers are called: a backbone's block that has no other attention, else the path; numbered if twice."""
    own = model.block_paths() if isinstance(model, ClassyModel) and not isinstance(model, Adapter) else {}
    names = []
    for i, path in enumerate(paths):
        block = next((b for b, at in own.items() if _is_in(path, at)), None)
        if block is None or sum(_is_in(other, own[block]) for other in paths) > 1:
            block = path.removeprefix("model.") if isinstance(model, Adapter) else path
        before = paths[:i].count(path)
        names.append(f"{block or 'model'} ({before + 1})" if before else block or "model")
    return names


def _other_names(layers: list[AttentionLayer], model: nn.Module) -> dict[str, str]:
    """{block, or module that a layer is in: the layer's name}, where it is the only one there."""
    found: dict[str, list[str]] = {}
    for layer in layers:
        path = layer.path.removeprefix("model.") if isinstance(model, Adapter) else layer.path
        for part in range(path.count(".") + 1):
            found.setdefault(path.rsplit(".", part)[0], []).append(layer.name)
    return {path: names[0] for path, names in found.items() if len(names) == 1}


def _layer(name: str, caught: Caught, look: View) -> AttentionLayer:
    n = look.images.shape[0] if look.images is not None else Inputs.of(look.x).batch_size
    weights = _by_heads(caught.weights, caught.heads, n)
    queries, keys = weights.shape[-2:]
    windows = max(weights.shape[0] // max(n, 1), 1)
    channels = (
        caught.channels is not None and queries == keys != caught.tokens and keys * weights.shape[1] == caught.channels
    )
    if channels:
        kind: str = CHANNELS
    elif windows > 1:
        kind = SPREAD if "grid" in caught.path else WINDOWS  # as the layers of MaxViT are called
    else:
        kind = TOKENS
    grid, prefix = (None, 0) if channels else _places(keys, caught, look.size, windows)
    query_grid, query_prefix = (grid, prefix) if queries == keys else _places(queries, caught, look.size, windows)
    if queries != keys and queries <= prefix:  # class tokens that ask, in layers of their own
        query_grid, query_prefix = None, queries
    tiles, rest = patch_grid(windows, look.size) if windows > 1 else (None, 0)
    tiles = None if rest else tiles
    down, right = (0 if tiles is None or of == 1 else by for of, by in zip(tiles or (1, 1), caught.shift, strict=True))
    dtype = weights.dtype if weights.is_floating_point() else torch.float32
    own = next((p.dtype for p in look.model.parameters()), dtype)
    bound = max(1e-4, 8 * torch.finfo(own).eps) if own.is_floating_point else 1e-4
    return AttentionLayer(
        name=name, path=caught.path, weights=weights, kind=kind, windows=windows, grid=grid, prefix=prefix,
        query_grid=query_grid, query_prefix=query_prefix, error=caught.error, verified=caught.error <= bound,
        mixed=caught.mixed, tiles=tiles, shift=(down, right),
    )  # fmt: skip


def _by_heads(weights: torch.Tensor, heads: int | None, n: int) -> torch.Tensor:
    """Weights in any layout as (N × windows, heads, L, S)."""
    *front, queries, keys = weights.shape
    if len(front) == 1:  # heads counted among the batch, or one head
        count = heads if heads and front[0] % (heads * n) == 0 else max(front[0] // max(n, 1), 1)
        return weights.reshape(-1, count, queries, keys)
    if len(front) > 2:  # windows in a dimension of their own, before the heads or after them
        at = next((i for i, size in enumerate(front) if i and size == heads), len(front) - 1)
        weights = weights.movedim(at, -3)
    return weights.reshape(-1, weights.shape[-3], queries, keys)


def _places(
    tokens: int, caught: Caught, size: tuple[int, int] | None, windows: int
) -> tuple[tuple[int, int] | None, int]:
    """The grid of so many tokens, and how many come before it; a window is a square."""
    if windows == 1:
        return patch_grid(tokens, size, caught.maps)
    side = math.isqrt(tokens)
    return ((side, side) if side * side == tokens else None), 0


def _distance(layer: AttentionLayer, size: tuple[int, int]) -> torch.Tensor | None:
    """(heads,) mean distances in pixels; None where queries or keys are no places."""
    if layer.grid is None or layer.query_grid is None or layer.kind == CHANNELS:
        return None
    rows, columns = layer.grid
    if layer.kind == WINDOWS:  # so many pixels to a side of a token
        side = math.sqrt(size[0] * size[1] / (layer.windows * rows * columns))
        extent = (rows * side, columns * side)
    else:
        extent = (float(size[0]), float(size[1]))
    device = layer.weights.device
    keys, queries = _middles(layer.grid, extent, device), _middles(layer.query_grid, extent, device)
    apart = torch.cdist(queries, keys)  # (L, S) of patches alone
    weights = layer.weights[:, :, layer.query_prefix :, layer.prefix :].float()
    weights = weights / weights.sum(-1, keepdim=True).clamp_min(1e-12)
    return (weights * apart).sum(-1).mean((0, 2))


def _middles(grid: tuple[int, int], extent: tuple[float, float], device: torch.device) -> torch.Tensor:
    """Where the patches of a grid lie in the picture, (rows × columns, 2)."""
    rows = (torch.arange(grid[0], device=device) + 0.5) * (extent[0] / grid[0])
    columns = (torch.arange(grid[1], device=device) + 0.5) * (extent[1] / grid[1])
    return torch.cartesian_prod(rows, columns)
