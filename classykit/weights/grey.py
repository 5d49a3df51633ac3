"""Weights that were trained on colours, for grey pictures: the first layer summed over them."""

from __future__ import annotations

from typing import Any

from classykit.errors import WeightsError, quoted
from classykit.images import Preprocessing
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import build_model


def in_grey(model: ClassyModel, in_channels: Any) -> ClassyModel:
    """``model`` for pictures of ``in_channels``, 1 or as many as it takes; the model itself is left as it is.

    A grey value that all colours share meets the sum of their kernels. Raises WeightsError for other numbers, whose
    kernels nothing says.

    >>> net = in_grey(build_model("resnet18"), 1)
    >>> net.input_shape, net.initial_block._module[0].weight.shape
    ((1, 224, 224), torch.Size([64, 1, 7, 7]))
    """
    has = model.input_shape[0]
    if type(in_channels) is int and in_channels == has:
        return model
    if type(in_channels) is not int or in_channels != 1 or len(model.input_shape) != 3:
        raise WeightsError(
            f"These weights take {has} channels, input_shape {model.input_shape}; in_channels is {has}, or 1 for grey "
            f"pictures, not {quoted(in_channels)}. Others were never seen in training: build the model with them "
            f"(build_model), and train it."
        )
    grey = build_model({**model.config, "in_channels": 1})
    state = model.state_dict()
    for key, value in grey.state_dict().items():
        if value.shape != state[key].shape:  # the first layer's kernels alone
            state[key] = state[key].sum(1, keepdim=True)
    grey.load_state_dict(state)
    if isinstance(model.preprocessing, Preprocessing):
        grey.preprocessing = model.preprocessing.for_channels(1)
    grey.labels = model.labels
    grey.weights = f"{model.weights or 'trained'}, the first layer summed over colours"
    return grey.train(model.training)
