"""One description of a run: config, weights, input, device; to and from JSON and Python code."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from classykit.clips import SAMPLE_CLIPS
from classykit.errors import ConfigError, quoted
from classykit.nested import Inputs
from classykit.python_code import keywords, literal, printable, refuse_what_is_no_name


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
        learnt: unique_ids of the heads whose weights are no random ones; the code says that it has them not.
        digit_side: where the picture, "digit 7" say, goes in as a vector: the pixels on its side; None elsewhere.

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
    digit_side: int | None = None
    learnt: tuple[str, ...] | None = None
    adopted: str | None = field(default=None, compare=False)  # class of a module that no config describes
    input_shape: tuple[int, ...] | None = field(default=None, compare=False)  # of that module's input
    example: dict[str, Any] | None = field(default=None, compare=False)  # what that module is called with: `described`

    def __post_init__(self) -> None:
        if not isinstance(self.config, Mapping) or "name" not in self.config:
            raise ConfigError(f"An experiment's config is a model config with a 'name', not {quoted(self.config)}.")
        self._refuse_odd_values()
        try:  # plain values only, so that what JSON gives back is equal
            plain = json.loads(json.dumps(self.config, default=_plain))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"The config cannot be written as JSON: {error}.") from None
        object.__setattr__(self, "config", plain)
        if self.learnt is not None:
            object.__setattr__(self, "learnt", tuple(self.learnt))

    def _refuse_odd_values(self) -> None:
        """Raise ConfigError for what could come from a file of somebody else's, and not from here."""
        refuse_what_is_no_name(self.config)
        heads = self.config.get("heads", [])
        if not isinstance(heads, (list, tuple)) or not all(
            isinstance(head, Mapping) and {"name", "fork_block"} <= head.keys() for head in heads
        ):
            raise ConfigError(
                f"The heads of an experiment are configs with a name and a fork_block, not {quoted(heads)}."
            )
        for head in heads:
            refuse_what_is_no_name(head)
        for name in ("image", "device", "block", "clip", "adopted"):
            if not isinstance(getattr(self, name), (str, type(None))):
                raise ConfigError(f"{name} is a text, not {quoted(getattr(self, name))}.")
        if self.digit_side is not None and (type(self.digit_side) is not int or not self._digit):
            raise ConfigError(f"digit_side goes with a digit, such as 'digit 7': {quoted(self.image)} is none.")
        learnt = self.learnt
        if learnt is not None and not (isinstance(learnt, (list, tuple)) and all(type(name) is str for name in learnt)):
            raise ConfigError(f"learnt is the unique_ids of heads, a tuple of texts, not {quoted(learnt)}.")
        if type(self.pretrained) is not bool:
            raise ConfigError(f"pretrained is True or False, not {quoted(self.pretrained)}.")
        shape = self.input_shape
        if shape is not None and not (isinstance(shape, (list, tuple)) and all(type(n) is int for n in shape)):
            raise ConfigError(f"input_shape is a tuple of sizes, not {quoted(shape)}.")
        if self.example is not None:
            if not isinstance(self.example, Mapping):
                raise ConfigError(f"An example is described by its args and kwargs, not by {quoted(self.example)}.")
            _example_code(self.example)

    def to_json(self) -> str:
        """The description as JSON text."""
        return json.dumps({k: v for k, v in asdict(self).items() if v is not None}, indent=2, default=_plain)

    @classmethod
    def from_json(cls, text: str) -> Experiment:
        """The experiment that `to_json` described; ConfigError when the text is none."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError, RecursionError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"This is no experiment as Experiment.to_json writes it: {error}.") from None

    def to_code(self) -> str:
        """Python that builds the model, heads and all, and runs it on the picture or the clip."""
        example = None if self.example is None else _example_code(self.example)
        imports = [] if example is None else ["import torch", ""]
        lines = [*imports, "import classykit as ck", "", *self._model_lines(example)]
        if example is not None:
            several = example.startswith("ck.Inputs")
            lines.append(f"output = model({'*example.args, **example.kwargs' if several else 'example'})")
            if self.block is not None:
                block = literal(self.block)
                lines.append(f"features = ck.capture(model, example, {block})[{block}]")
        elif (x := self._input_code()) is not None:
            note = "" if self.clip in (None, *SAMPLE_CLIPS) else "  # clip: an array (T, H, W, 3) or a list of pictures"
            lines += [f"x = {x}{note}", "output = model(x)"]
            if self.block is not None:
                block = literal(self.block)
                lines.append(f"features = ck.capture(model, x, {block})[{block}]")
        return "\n".join(lines) + "\n"

    @property
    def _digit(self) -> str:
        """The digit that the picture is, by its name; "" for any other."""
        found = re.fullmatch(r"digit (\d)", self.image or "", re.ASCII)
        return found.group(1) if found else ""

    def _input_code(self) -> str | None:
        """The expression for the model's input; None when it is not run."""
        move = "" if self.device == "cpu" else f".to({literal(self.device)})"
        if self.clip is not None:
            made = ", ".join(f"{k}={v}" for k, v in SAMPLE_CLIPS.get(self.clip, {}).items())
            clip = f"ck.moving_shapes({made})" if self.clip in SAMPLE_CLIPS else "clip"  # else one of the user's
            x = f"ck.preprocess_clip({clip}, model){move}"
            key = self.config.get("input_key")
            return x if key is None else f"{{{literal(key)}: {x}}}"
        if self.digit_side is not None:
            return f"ck.datasets.digit({self._digit}, {self.digit_side}).flatten(1){move}"
        return None if self.image is None else f"ck.preprocess({literal(self.image)}, model){move}"

    def _model_lines(self, example: str | None) -> list[str]:
        config = {k: v for k, v in self.config.items() if k != "heads"}
        heads = self.config.get("heads", [])
        name, keys = config.pop("name", None), config
        if self.adopted is not None:
            shape = "" if self.input_shape is None else f", input_shape={tuple(self.input_shape)}"
            lines = []
            if example is not None:
                lines, shape = [f"example = {example}  # of the shapes of yours"], ", example=example"
            lines.append(f"model = ck.ClassyModel.from_model(module{shape})  # your {printable(self.adopted)}")
        elif self.pretrained:
            lines = [f"model = ck.load_pretrained({literal(name)})"]
        else:
            lines = [f"model = ck.build_model({', '.join([literal(name), *keywords(keys)])})  # random weights"]
        for head in heads:
            given = {k: v for k, v in head.items() if k not in ("name", "fork_block", "in_plane")}
            arguments = [literal(head["fork_block"]), literal(head["name"])]
            lines.append(f"model.attach_head({', '.join([*arguments, *keywords(given)])})")
        lines.append("model.eval()" if self.device == "cpu" else f"model.eval().to({literal(self.device)})")
        return lines + self._learnt_lines()

    def _learnt_lines(self) -> list[str]:
        """What has been learnt cannot be written down as code: how to bring it along."""
        there = [head.get("unique_id") for head in self.config.get("heads", [])]
        learnt = [literal(name) for name in self.learnt or () if name in there]
        if not learnt:
            return []
        whose = f"head {learnt[0]} has" if len(learnt) == 1 else f"heads {', '.join(learnt)} have"
        return [
            f"# What {whose} learnt is not in the lines above. Where the app is, and has run, this keeps it:",
            '# ck.save_checkpoint(app.model, "learnt.safetensors")',
            "# and this puts it, with all other weights, into the model here:",
            '# ck.load_checkpoint("learnt.safetensors", model)',
        ]


def described(example: Inputs) -> dict[str, Any]:
    """Inputs by the shapes and number types of their tensors, as JSON has it; what is no plain value is left out.

    >>> described(Inputs(torch.ones(1, 4, dtype=torch.long), mask=None))
    {'args': [{'shape': [1, 4], 'dtype': 'int64'}], 'kwargs': {'mask': None}}
    """

    def of(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
        if isinstance(value, Mapping):
            return {"dict": {str(k): of(v) for k, v in value.items()}}
        if isinstance(value, (list, tuple)):
            return [of(v) for v in value]
        return value if isinstance(value, (str, int, float, bool)) else None

    return {"args": [of(v) for v in example.args], "kwargs": {k: of(v) for k, v in example.kwargs.items()}}


def _example_code(example: Mapping[str, Any]) -> str:
    """Python that makes inputs of the same shapes and types, numbers aside; ConfigError for what describes none."""

    def code(value: Any) -> str:
        if isinstance(value, Mapping) and value.keys() == {"shape", "dtype"}:
            dtype = getattr(torch, str(value["dtype"]), None)
            shape = value["shape"]
            whole = isinstance(shape, (list, tuple)) and all(type(n) is int and n >= 0 for n in shape)
            if not isinstance(dtype, torch.dtype) or not whole:
                raise ConfigError(f"A tensor is described by its shape and dtype, not by {quoted(dict(value))}.")
            made = "rand" if dtype.is_floating_point else "zeros"
            suffix = "" if dtype == torch.float32 else f", dtype={dtype}"
            return f"torch.{made}({', '.join(map(str, shape))}{suffix})"
        if isinstance(value, Mapping) and value.keys() == {"dict"} and isinstance(value["dict"], Mapping):
            return "{" + ", ".join(f"{literal(str(k))}: {code(v)}" for k, v in value["dict"].items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(code, value)) + "]"
        if isinstance(value, (str, int, float, bool, type(None))):
            return literal(value)
        raise ConfigError(f"An example holds tensors and plain values, not {quoted(value)}.")

    args, kwargs = example.get("args"), example.get("kwargs")
    if not isinstance(args, list) or not isinstance(kwargs, Mapping):
        raise ConfigError(f"An example is described by its args and kwargs, not by {quoted(dict(example))}.")
    refuse_what_is_no_name(kwargs)
    if len(args) == 1 and not kwargs and isinstance(args[0], Mapping) and "shape" in args[0]:
        return code(args[0])
    return f"ck.Inputs({', '.join([*map(code, args), *(f'{name}={code(value)}' for name, value in kwargs.items())])})"


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, set)):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
