"""One description of a run: config, weights, input, device; to and from JSON and Python code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from classykit.clips import SAMPLE_CLIPS
from classykit.errors import ConfigError
from classykit.nested import Inputs


@dataclass(frozen=True)
class Experiment:
    """What is run, on what, where.

    Attributes:
        config: the model's config, heads included (see `classykit.build_model`).
        pretrained: whether its weights are those of `classykit.load_pretrained`.
        image: name or path of the picture; None for none.
        clip: name of the clip, for a video model: one of `classykit.clips.SAMPLE_CLIPS`, or what one's own is
            called; None for none.
        device: where it runs.
        block: the block whose features are looked at; None for none.

    >>> e = Experiment({"name": "resnet18"}, image="cat", block="block1-0")
    >>> Experiment.from_json(e.to_json()) == e
    True
    """

    config: dict[str, Any]
    pretrained: bool = False
    image: str | None = None
    device: str = "cpu"
    block: str | None = None
    clip: str | None = None
    adopted: str | None = field(default=None, compare=False)  # class of a module that no config describes
    input_shape: tuple[int, ...] | None = field(default=None, compare=False)  # of that module's input
    example: str | None = field(default=None, compare=False)  # code for what that module is called with

    def __post_init__(self) -> None:
        if not isinstance(self.config, Mapping) or "name" not in self.config:
            raise ConfigError(f"An experiment's config is a model config with a 'name', not {self.config!r}.")
        try:  # plain values only, so that what JSON gives back is equal
            plain = json.loads(json.dumps(self.config, default=_plain))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"The config cannot be written as JSON: {error}.") from None
        object.__setattr__(self, "config", plain)

    def to_json(self) -> str:
        """The description as JSON text."""
        return json.dumps({k: v for k, v in asdict(self).items() if v is not None}, indent=2, default=_plain)

    @classmethod
    def from_json(cls, text: str) -> Experiment:
        """The experiment that `to_json` described; ConfigError when the text is none."""
        try:
            return cls(**json.loads(text))
        except (json.JSONDecodeError, TypeError) as error:
            raise ConfigError(f"This is no experiment as Experiment.to_json writes it: {error}.") from None

    def to_code(self) -> str:
        """Python that builds the model, heads and all, and runs it on the picture or the clip."""
        imports = ["import torch", ""] if self.example is not None else []
        lines = [*imports, "import classykit as ck", "", *self._model_lines()]
        if self.example is not None:
            several = self.example.startswith("ck.Inputs")
            lines.append(f"output = model({'*example.args, **example.kwargs' if several else 'example'})")
            if self.block is not None:
                block = _literal(self.block)
                lines.append(f"features = ck.capture(model, example, {block})[{block}]")
        elif (x := self._input_code()) is not None:
            note = "" if self.clip in (None, *SAMPLE_CLIPS) else "  # clip: an array (T, H, W, 3) or a list of pictures"
            lines += [f"x = {x}{note}", "output = model(x)"]
            if self.block is not None:
                block = _literal(self.block)
                lines.append(f"features = ck.capture(model, x, {block})[{block}]")
        return "\n".join(lines) + "\n"

    def _input_code(self) -> str | None:
        """The expression for the model's input; None when it is not run."""
        move = "" if self.device == "cpu" else f".to({_literal(self.device)})"
        if self.clip is not None:
            made = ", ".join(f"{k}={v}" for k, v in SAMPLE_CLIPS.get(self.clip, {}).items())
            clip = f"ck.moving_shapes({made})" if self.clip in SAMPLE_CLIPS else "clip"  # else one of the user's
            x = f"ck.preprocess_clip({clip}, model){move}"
            key = self.config.get("input_key")
            return x if key is None else f"{{{_literal(key)}: {x}}}"
        return None if self.image is None else f"ck.preprocess({_literal(self.image)}, model){move}"

    def _model_lines(self) -> list[str]:
        config = {k: v for k, v in self.config.items() if k != "heads"}
        heads = self.config.get("heads", [])
        name, keys = config.pop("name", None), config
        if self.adopted is not None:
            shape = "" if self.input_shape is None else f", input_shape={tuple(self.input_shape)}"
            lines = []
            if self.example is not None:
                lines, shape = [f"example = {self.example}  # of the shapes of yours"], ", example=example"
            lines.append(f"model = ck.ClassyModel.from_model(module{shape})  # your {self.adopted}")
        elif self.pretrained:
            lines = [f"model = ck.load_pretrained({_literal(name)})"]
        else:
            described = ", ".join([_literal(name), *(f"{k}={_literal(v)}" for k, v in keys.items())])
            lines = [f"model = ck.build_model({described})  # random weights"]
        for head in heads:
            given = {k: v for k, v in head.items() if k not in ("name", "fork_block", "in_plane")}
            arguments = [_literal(head["fork_block"]), _literal(head["name"])]
            arguments += [f"{k}={_literal(v)}" for k, v in given.items()]
            lines.append(f"model.attach_head({', '.join(arguments)})")
        lines.append("model.eval()" if self.device == "cpu" else f"model.eval().to({_literal(self.device)})")
        return lines


def example_code(example: Inputs) -> str:
    """Python that makes inputs of the same shapes and types, numbers aside.

    >>> example_code(Inputs(torch.ones(1, 4, dtype=torch.long), mask=None))
    'ck.Inputs(torch.zeros(1, 4, dtype=torch.int64), mask=None)'
    """

    def code(value: Any) -> str:
        if isinstance(value, torch.Tensor):
            made = "rand" if value.is_floating_point() else "zeros"
            dtype = "" if value.dtype == torch.float32 else f", dtype={value.dtype}"
            return f"torch.{made}({', '.join(map(str, value.shape))}{dtype})"
        if isinstance(value, Mapping):
            return "{" + ", ".join(f"{_literal(k)}: {code(v)}" for k, v in value.items()) + "}"
        if isinstance(value, (list, tuple)):
            return "[" + ", ".join(map(code, value)) + "]"
        return _literal(value) if isinstance(value, (str, int, float, bool, type(None))) else "..."

    if isinstance(example.alone, torch.Tensor):
        return code(example.alone)
    named = (f"{name}={code(value)}" for name, value in example.kwargs.items())
    return f"ck.Inputs({', '.join([*map(code, example.args), *named])})"


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, set)):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _literal(value: Any) -> str:
    """A value as Python source, strings in double quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return repr(value)
