"""Configs: one strict pydantic model a family or head, and errors in words instead of pydantic's."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from classykit.errors import ConfigError, quoted, suggest, warn

PositiveInt = Annotated[int, Field(strict=True, gt=0, le=2**24)]
Probability = Annotated[float, Field(strict=True, ge=0, lt=1)]
PositiveFloat = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
CLASSES = "num_classes"
MAX_DEPTH = 1024  # layers in a row: each takes time to build
Depth = Annotated[int, Field(strict=True, gt=0, le=MAX_DEPTH)]
Flag = Annotated[bool, Field(strict=True)]


def _not_too_deep(depths: list[int]) -> list[int]:
    if sum(depths) > MAX_DEPTH:
        raise ValueError(f"that makes {sum(depths)} layers; use at most {MAX_DEPTH} in all")
    return depths


Depths = Annotated[list[Depth], Field(min_length=1, max_length=12), AfterValidator(_not_too_deep)]  # by stage


class Config(BaseModel):
    """Base of every family's config: unknown keys are refused, nothing is coerced, values do not change.

    ``ignored`` are keys that ClassyVision took and did nothing with, and that stand in people's configs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
    ignored: ClassVar[tuple[str, ...]] = ()

    def completed(self) -> dict[str, Any]:
        """Every key with the value that is in use, also where a default stands for "as another key says"."""
        return self.model_dump(mode="json")

    @property
    def follows(self) -> dict[str, Any]:
        """What these keys come to: {name: value}, such as the widths and depths of stages."""
        return {}


class PictureConfig(Config):
    """Base of the configs of families that take pictures."""

    in_channels: PositiveInt = Field(3, description="channels of the input: 3 for colour, 1 for grey, or other bands")


C = TypeVar("C", bound=Config)


#: what to do in place of giving a backbone classes
ATTACH = (
    'a classifier is attached as a head: model.attach_head(model.block_names[-1], "linear_probe", '
    "num_classes={classes})"
)


def without_ignored(kind: type[Config], values: dict[str, Any], owner: str, *more: str) -> dict[str, Any]:
    """The values without the keys that do nothing, of its own and ``more``; a warning names them."""
    idle = [key for key in values if key in (*kind.ignored, *more) and key not in kind.model_fields]
    if not idle:
        return values
    does, them = ("does", "it") if len(idle) == 1 else ("do", "them")
    instead = f" To have classes, {ATTACH.format(classes=quoted(values['num_classes']))}." if CLASSES in idle else ""
    warn(
        f"{owner}: {', '.join(map(repr, idle))} {does} nothing here, as in ClassyVision, which took {them} without a "
        f"word.{instead}"
    )
    return {key: value for key, value in values.items() if key not in idle}


def read_config(kind: type[C], values: dict[str, Any], owner: str) -> C:
    """Validate ``values`` into ``kind``; on failure raise one ConfigError naming every bad key.

    ``owner`` is whose config it is ("resnet50", "head 'cls'"), for the message.
    """
    if not all(isinstance(key, str) for key in values):
        raise ConfigError(f"{owner}: keys are strings; found {quoted([k for k in values if not isinstance(k, str)])}.")
    try:
        return kind(**values)
    except ValidationError as error:
        complaints = [_complaint(problem, kind) for problem in error.errors(include_url=False)]
        raise ConfigError(f"{owner}: " + " ".join(complaints)) from None


def _complaint(problem: ErrorDetails, kind: type[Config]) -> str:
    path = ".".join(str(part) for part in problem["loc"])
    what = problem["type"]
    known = list(kind.model_fields)
    if what == "extra_forbidden":
        if len(problem["loc"]) > 1:
            return f"key {quoted(path)} is unknown."
        return f"key {quoted(path)} is unknown.{suggest(path, known)} Its keys are: {', '.join(known)}."
    if what == "missing":
        description = (kind.model_fields[path].description or "") if path in known else ""
        return f"key {quoted(path)} is required" + (f" ({description})." if description else ".")
    message = problem["msg"].removeprefix("Value error, ")
    if not path:  # a check over several keys says itself which ones
        return message.rstrip(".") + "."
    return f"key {quoted(path)} = {quoted(problem['input'], 80)}: {message[:1].lower() + message[1:].rstrip('.')}."
