"""A multi-layer perceptron: the smallest model of the zoo."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field, model_validator
from torch import nn

from classykit.configs import Config, Flag, PositiveInt, Probability
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import register_model


class MLPConfig(Config):
    """Config of `MLP`."""

    input_dim: PositiveInt = Field(description="values in one input, flattened")
    output_dim: PositiveInt = Field(description="outputs")
    hidden_dims: Annotated[list[PositiveInt], Field(max_length=256)] = Field(description="width of each hidden layer")
    dropout: Probability = Field(0, description="rate, after every hidden layer")
    first_dropout: Flag = Field(False, description="dropout on the input too")
    use_batchnorm: Flag = Field(False, description="BatchNorm in every hidden layer")
    first_batchnorm: Flag = Field(False, description="BatchNorm on the input too; needs use_batchnorm")

    @model_validator(mode="after")
    def _consistent(self) -> MLPConfig:
        if self.first_batchnorm and not self.use_batchnorm:
            raise ValueError("first_batchnorm=True needs use_batchnorm=True")
        return self


@register_model("mlp")
class MLP(ClassyModel):
    """Linear layers with ReLU between them, on flattened inputs.

    Takes (N, ...) with ``input_dim`` values an input, gives (N, output_dim). Its keys are those of
    `MLPConfig`. Blocks: ``hidden0`` ... (after their activation), ``output``.

    >>> MLP(input_dim=64, output_dim=10, hidden_dims=[32])(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """

    Config = MLPConfig
    channels_first = True

    def __init__(self, /, **config: Any):
        cfg = self._read(config)
        self.input_dim = width = cfg.input_dim
        layers: list[nn.Module] = []
        self._ends: list[int] = []  # where each hidden layer ends in self.mlp
        if cfg.dropout and cfg.first_dropout:
            layers.append(nn.Dropout(cfg.dropout))
        if cfg.first_batchnorm:
            layers.append(nn.BatchNorm1d(width))
        for hidden in cfg.hidden_dims:
            layers.append(nn.Linear(width, hidden))
            if cfg.use_batchnorm:
                layers.append(nn.BatchNorm1d(hidden))
            if cfg.dropout:
                layers.append(nn.Dropout(cfg.dropout))
            layers.append(nn.ReLU(inplace=True))
            self._ends.append(len(layers) - 1)
            width = hidden
        self.mlp = nn.Sequential(*layers, nn.Linear(width, cfg.output_dim))

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.input_dim,)

    def block_paths(self) -> dict[str, str]:
        hidden = {f"hidden{i}": f"mlp.{end}" for i, end in enumerate(self._ends)}
        return {**hidden, "output": f"mlp.{len(self.mlp) - 1}"}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mlp(x.flatten(1))  # (N, ...) -> (N, input_dim) -> (N, output_dim)

    def get_classy_state(self, deep_copy: bool = False) -> dict[str, Any]:
        """As everywhere, but heads stand under the names that ClassyVision has for the layers: "2" for ``hidden0``."""
        state = super().get_classy_state(deep_copy)
        heads = state["model"]["heads"]
        state["model"]["heads"] = {self.find_block(block)[1].rsplit(".", 1)[-1]: h for block, h in heads.items()}
        return state
