"""What tests of inspecting share."""

from torch import nn

from classykit.inspecting import tracer
from classykit.inspecting.receptive.receptive_field import ReceptiveField, receptive_field
from classykit.meta import dtype_of, empty_input, meta_twin


class Lambda(nn.Module):
    def __init__(self, function, *parts):
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, x):
        return self.function(x, *self.parts)


def last(model: nn.Sequential, shape) -> ReceptiveField | None:
    """What the last part sees, called "f"."""
    path = str(len(model) - 1)
    trace = tracer.trace(meta_twin(model), {"f": path}, empty_input(shape, 1, dtype_of(model)))
    assert trace.failure is None
    seen = trace.blocks["f"]
    return receptive_field(seen.fields[id(seen.output)], shape[1:])


def field_of(function, *parts, shape=(3, 32, 32), before=None) -> ReceptiveField | None:
    """After a 3×3 convolution of stride 2."""
    return last(nn.Sequential(before or nn.Conv2d(3, 4, 3, 2, 1), Lambda(function, *parts)), shape)
