"""One description of a run: config, weights, input, device; to and from JSON and Python code."""

from __future__ import annotations

import json
import pprint
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from classykit.errors import ConfigError


@dataclass(frozen=True)
class Experiment:
    """What is run, on what, where.

    Attributes:
        config: the model's config, heads included (see `classykit.build_model`).
        pretrained: whether its weights are those of `classykit.load_pretrained`.
        image: name or path of the picture; None for none.
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
    adopted: str | None = field(default=None, compare=False)  # class of a module that no config describes

    def to_json(self) -> str:
        """The description as JSON text."""
        return json.dumps({k: v for k, v in asdict(self).items() if v is not None}, indent=2, default=_plain)

    @classmethod
    def from_json(cls, text: str) -> Experiment:
        """The experiment that `to_json` described; ConfigError when the text is none."""
        try:
            values = json.loads(text)
            return cls(**values)
        except (json.JSONDecodeError, TypeError) as error:
            raise ConfigError(f"This is no experiment as Experiment.to_json writes it: {error}.") from None

    def to_code(self) -> str:
        """Python that builds the model, heads and all, and runs it on the picture."""
        lines = ["import classykit as ck", "", *self._model_lines()]
        if self.image is not None:
            move = "" if self.device == "cpu" else f".to({self.device!r})"
            lines += [f"x = ck.preprocess({self.image!r}, model){move}", "output = model(x)"]
            if self.block is not None:
                lines.append(f"features = ck.capture(model, x, {self.block!r})[{self.block!r}]")
        return "\n".join(lines) + "\n"

    def _model_lines(self) -> list[str]:
        config = {k: v for k, v in self.config.items() if k != "heads"}
        heads = self.config.get("heads", [])
        name, keys = config.pop("name", None), config
        if self.adopted is not None:
            lines = [f"model = ck.ClassyModel.from_model(module)  # your {self.adopted}"]
        elif self.pretrained:
            lines = [f"model = ck.load_pretrained({name!r})"]
        else:
            described = ", ".join([repr(name), *(f"{k}={_literal(v)}" for k, v in keys.items())])
            lines = [f"model = ck.build_model({described})  # random weights"]
        for head in heads:
            given = {k: v for k, v in head.items() if k not in ("name", "fork_block", "in_plane")}
            arguments = [repr(head["fork_block"]), repr(head["name"])]
            arguments += [f"{k}={_literal(v)}" for k, v in given.items()]
            lines.append(f"model.attach_head({', '.join(arguments)})")
        lines.append("model.eval()" if self.device == "cpu" else f"model.eval().to({self.device!r})")
        return lines


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, set)):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _literal(value: Any) -> str:
    return pprint.pformat(value, width=10**6, compact=True, sort_dicts=False)
