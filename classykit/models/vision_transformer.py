"""Vision Transformer (Dosovitskiy et al., 2020, arXiv 2010.11929)."""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import nn

from classykit.configs import Config, Depth, PictureConfig, PositiveInt, Probability
from classykit.errors import ShapeError, StateError, quoted
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import register_model
from classykit.models.repeats import Repeats
from classykit.models.state import oddity

log = logging.getLogger(__name__)


class ConvStemLayer(Config):
    """One layer of a convolutional stem (Xiao et al., 2021, arXiv 2106.14881)."""

    kernel: Annotated[int, Field(strict=True, gt=0, lt=64)] = Field(description="odd")
    stride: Annotated[int, Field(strict=True, gt=0, lt=64)]
    out_channels: PositiveInt

    @model_validator(mode="after")
    def _odd(self) -> ConvStemLayer:
        if self.kernel % 2 == 0:
            raise ValueError(f"a conv stem's kernel is odd, not {self.kernel}")
        return self


class VisionTransformerConfig(PictureConfig):
    """Config of `VisionTransformer`."""

    image_size: PositiveInt = Field(description="side of the input, px; a multiple of patch_size")
    patch_size: PositiveInt = Field(description="side of a patch, px")
    num_layers: Depth = Field(description="encoder layers")
    num_heads: PositiveInt = Field(description="attention heads; divides hidden_dim")
    hidden_dim: PositiveInt = Field(description="channels of a token")
    mlp_dim: PositiveInt = Field(description="hidden channels of a layer's MLP")
    dropout_rate: Probability = Field(0, description="after attention, in the MLP and on the embeddings")
    attention_dropout_rate: Probability = Field(0, description="on attention weights")
    classifier: Literal["token", "gap"] = Field("token", description="output: the class token, or the mean token")
    conv_stem_layers: Annotated[list[ConvStemLayer], Field(min_length=1)] | None = Field(
        None, description="convolutions in place of the patch embedding: {kernel, stride, out_channels} each"
    )

    @property
    def follows(self) -> dict[str, Any]:
        side = self.image_size // self.patch_size
        before = 1 if self.classifier == "token" else 0
        return {"patches": [side, side], "tokens": side * side + before, "head_dim": self.hidden_dim // self.num_heads}

    @model_validator(mode="after")
    def _divides(self) -> VisionTransformerConfig:
        if self.image_size % self.patch_size:
            raise ValueError(f"image_size = {self.image_size} is no multiple of patch_size = {self.patch_size}")
        if self.hidden_dim % self.num_heads:
            raise ValueError(f"hidden_dim = {self.hidden_dim} is no multiple of num_heads = {self.num_heads}")
        if self.conv_stem_layers is not None:
            strides = math.prod(layer.stride for layer in self.conv_stem_layers)
            if strides != self.patch_size:
                raise ValueError(
                    f"the strides of conv_stem_layers multiply to {strides}, patch_size is {self.patch_size}"
                )
        return self


class SelfAttention(nn.Module):
    """Multi-head self-attention with nn.MultiheadAttention's parameters, through torch's fused kernel."""

    def __init__(self, hidden_dim: int, num_heads: int, dropout: float):
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * hidden_dim, hidden_dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * hidden_dim))
        self.out_proj = nn.Linear(hidden_dim, hidden_dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, length, channels = x.shape
        qkv = F.linear(x, self.in_proj_weight, self.in_proj_bias)  # (N, L, 3C)
        q, k, v = qkv.view(n, length, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4).unbind()  # (N, heads, L, C/heads)
        x = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        x = x.transpose(1, 2).reshape(n, length, channels)  # (N, L, C)
        return self.out_proj(x)


class MLPBlock(nn.Sequential):
    """Linear, GELU, linear, with dropout after each."""

    def __init__(self, hidden_dim: int, mlp_dim: int, dropout: float):
        super().__init__(
            OrderedDict(
                linear_1=nn.Linear(hidden_dim, mlp_dim),
                act=nn.GELU(),
                dropout_1=nn.Dropout(dropout),
                linear_2=nn.Linear(mlp_dim, hidden_dim),
                dropout_2=nn.Dropout(dropout),
            )
        )
        for layer in (self.linear_1, self.linear_2):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.normal_(layer.bias, std=1e-6)


class EncoderLayer(nn.Module):
    """Attention, then an MLP; each with its LayerNorm inside the residual branch."""

    def __init__(self, cfg: VisionTransformerConfig):
        super().__init__()
        self.ln_1 = nn.LayerNorm(cfg.hidden_dim, eps=1e-6)
        self.self_attention = SelfAttention(cfg.hidden_dim, cfg.num_heads, cfg.attention_dropout_rate)
        self.dropout = nn.Dropout(cfg.dropout_rate)
        self.ln_2 = nn.LayerNorm(cfg.hidden_dim, eps=1e-6)
        self.mlp = MLPBlock(cfg.hidden_dim, cfg.mlp_dim, cfg.dropout_rate)

    @property
    def block_type(self) -> str:
        """What the inspector calls it."""
        return f"encoder layer, {self.self_attention.num_heads} heads"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.dropout(self.self_attention(self.ln_1(x)))  # (N, L, C)
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Position embeddings, the layers, and a final LayerNorm."""

    def __init__(self, cfg: VisionTransformerConfig, seq_length: int):
        super().__init__()
        # (L, 1, C): the order in which ClassyVision keeps it
        self.pos_embedding = nn.Parameter(torch.empty(seq_length, 1, cfg.hidden_dim).normal_(std=0.02))
        self.dropout = nn.Dropout(cfg.dropout_rate)  # the block "embedding" ends here
        self.dropout.block_type = "tokens with positions"
        make = Repeats()
        self.layers = nn.Sequential(OrderedDict((f"layer_{i}", make(EncoderLayer, cfg)) for i in range(cfg.num_layers)))
        self.ln = nn.LayerNorm(cfg.hidden_dim, eps=1e-6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.pos_embedding.transpose(0, 1)  # (N, L, C) + (1, L, C)
        return self.ln(self.layers(self.dropout(x)))


def _conv_stem(cfg: VisionTransformerConfig) -> nn.Sequential:
    stem, channels, layers = nn.Sequential(), cfg.in_channels, cfg.conv_stem_layers or []
    for i, layer in enumerate(layers):
        conv = nn.Conv2d(channels, layer.out_channels, layer.kernel, layer.stride, layer.kernel // 2, bias=False)
        stem.add_module(f"conv_{i}", conv)
        stem.add_module(f"bn_{i}", nn.BatchNorm2d(layer.out_channels))
        stem.add_module(f"relu_{i}", nn.ReLU(inplace=True))
        channels = layer.out_channels
    stem.add_module(f"conv_{len(layers)}", nn.Conv2d(channels, cfg.hidden_dim, 1))
    return stem


_BASE = dict(num_layers=12, num_heads=12, hidden_dim=768, mlp_dim=3072)
_LARGE = dict(num_layers=24, num_heads=16, hidden_dim=1024, mlp_dim=4096)
_HUGE = dict(num_layers=32, num_heads=16, hidden_dim=1280, mlp_dim=5120)


@register_model("vit_h_14", image_size=224, patch_size=14, **_HUGE)
@register_model("vit_l_32", image_size=224, patch_size=32, **_LARGE)
@register_model("vit_l_16", image_size=224, patch_size=16, **_LARGE)
@register_model("vit_b_32", image_size=224, patch_size=32, **_BASE)
@register_model("vit_b_16", image_size=224, patch_size=16, **_BASE)
@register_model("vit_demo", image_size=112, patch_size=8, num_layers=6, num_heads=4, hidden_dim=96, mlp_dim=192)
@register_model("vision_transformer")
class VisionTransformer(ClassyModel):
    """Patches become tokens, encoder layers mix them, one vector comes out.

    Takes square pictures (N, 3, S, S) of ``image_size``, gives a vector (N, hidden_dim). Its keys are those
    of `VisionTransformerConfig`. Blocks: ``conv_proj`` (the patches, a map), ``embedding``, ``layer_<i>`` and
    ``ln`` (tokens (N, L, C), the class token first), ``trunk_output`` (the vector).

    >>> vit = VisionTransformer(image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32)
    >>> vit(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 16])
    """

    Config = VisionTransformerConfig
    channels_first = True
    short_names = (("conv_proj", "patches"), ("embedding", "embed"))

    def __init__(self, /, **config: Any):
        cfg = self._read(config)
        self.image_size, self.patch_size, self.hidden_dim = cfg.image_size, cfg.patch_size, cfg.hidden_dim
        self.in_channels = cfg.in_channels
        self.classifier = cfg.classifier
        if cfg.conv_stem_layers is None:
            self.conv_proj: nn.Module = nn.Conv2d(cfg.in_channels, cfg.hidden_dim, cfg.patch_size, cfg.patch_size)
            # LeCun's initialisation: the variance of a patch's sum stays that of a pixel
            nn.init.trunc_normal_(self.conv_proj.weight, std=(cfg.in_channels * cfg.patch_size**2) ** -0.5)
            nn.init.zeros_(self.conv_proj.bias)
        else:
            self.conv_proj = _conv_stem(cfg)
        self.seq_length = (cfg.image_size // cfg.patch_size) ** 2
        if cfg.classifier == "token":
            self.class_token = nn.Parameter(torch.zeros(1, 1, cfg.hidden_dim))
            self.seq_length += 1
        self.encoder = Encoder(cfg, self.seq_length)
        self.trunk_output = nn.Identity()  # a place for heads
        self.trunk_output.block_type = "class token" if cfg.classifier == "token" else "mean token"

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.in_channels, self.image_size, self.image_size)

    def block_paths(self) -> dict[str, str]:
        layers = {name: f"encoder.layers.{name}" for name, _ in self.encoder.layers.named_children()}
        # the dropout is where class token and positions have joined the patches
        start = {"conv_proj": "conv_proj", "embedding": "encoder.dropout"}
        return {**start, **layers, "ln": "encoder.ln", "trunk_output": "trunk_output"}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.jit.is_tracing() and (x.ndim != 4 or x.shape[-2:] != (self.image_size, self.image_size)):
            raise ShapeError(
                f"This vision transformer takes pictures (N, {str(self.input_shape)[1:]}, it was "
                f"given {tuple(x.shape)}: resize them, or build it with image_size={x.shape[-1]}."
            )
        x = self.conv_proj(x)  # (N, C, S/patch, S/patch)
        x = x.flatten(2).transpose(1, 2)  # (N, L, C)
        if self.classifier == "token":
            x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], dim=1)  # (N, 1 + L, C)
        x = self.encoder(x)
        x = x[:, 0] if self.classifier == "token" else x.mean(1)  # (N, C)
        return self.trunk_output(x)

    def convert_trunk_state(self, trunk: dict[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
        """Resize the position embeddings of another resolution, bicubically, as ClassyVision does."""
        key = "encoder.pos_embedding"
        given = trunk.get(key)
        if oddity(given) or not given.is_floating_point() or given.shape == self.encoder.pos_embedding.shape:
            return trunk  # nothing to resize; what is wrong with it will be found
        if given.ndim != 3 or given.shape[1:] != (1, self.hidden_dim):
            raise StateError(f"{quoted(key)} has the shape {tuple(given.shape)}, not (length, 1, {self.hidden_dim}).")
        tokens = 1 if self.classifier == "token" else 0
        patches = given.shape[0] - tokens
        old, new = math.isqrt(max(patches, 0)), self.image_size // self.patch_size
        if patches < 1 or old * old != patches:
            raise StateError(
                f"{quoted(key)} is for {max(patches, 0)} patches, which make no square: is it another model's?"
            )
        log.info("position embeddings resized from %d×%d to %d×%d patches", old, old, new, new)
        grid = given[tokens:].permute(1, 2, 0).reshape(1, self.hidden_dim, old, old)
        grid = F.interpolate(grid, size=(new, new), mode="bicubic", align_corners=True)
        resized = grid.flatten(2).permute(2, 0, 1)  # (L, 1, C)
        return {**trunk, key: torch.cat([given[:tokens], resized])}
