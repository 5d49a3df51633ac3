"""Where and how a model runs: device, number type, memory layout; and putting a copy of it there."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from classykit.copies import copied
from classykit.errors import ConfigError, DeviceError, quoted
from classykit.meta import attributes_of, dtype_of
from classykit.nested import mapped
from classykit.scripted import outermost_scripts


@dataclass(frozen=True)
class Place:
    """Where and how a model runs.

    Attributes:
        device: e.g. ``torch.device("cuda:0")``.
        dtype: of weights and inputs.
        channels_last: whether maps lie in memory as (N, H, W, C), or (N, T, H, W, C); their shapes stay the same.
    """

    device: torch.device
    dtype: torch.dtype
    channels_last: bool = False

    def __str__(self) -> str:
        parts = [str(self.device), short(self.dtype)]
        return ", ".join([*parts, "channels last"] if self.channels_last else parts)

    def put(self, x: Any) -> Any:
        """An input, with all tensors in it moved here; those of whole numbers keep their type."""
        return mapped(self._put_tensor, x)

    def _put_tensor(self, t: torch.Tensor) -> torch.Tensor:
        t = t.to(self.device, self.dtype if t.is_floating_point() else None, non_blocking=True)
        return t.contiguous(memory_format=self._layout(t.ndim))

    def has(self, model: nn.Module) -> bool:
        """Whether the model's weights are here already."""
        return all(map(self._is_here, (*model.parameters(), *model.buffers())))

    def settle(self, model: nn.Module) -> nn.Module:
        """The model itself where it lies here already, else a copy that does; the model is left as it is.

        Raises DeviceError when the device has no room for the copy, or the model cannot be copied.
        """
        if self.has(model):
            return model
        weights = [*model.parameters(), *model.buffers()]
        try:
            moved: dict[int, Any] = {id(t): t.detach().to(self.device) for t in attributes_of(model)}
            moved |= {id(t): self._put_weight(t) for t in weights}
            new = copied(model, moved)
            for script in outermost_scripts(new):  # which are copied past what stands for what
                script.to(self.device, self.dtype)
            return new
        except (torch.cuda.OutOfMemoryError, MemoryError) as error:
            raise DeviceError(f"{self.device} has no room for the weights of {type(model).__name__}: {error}") from None
        except Exception as error:  # whatever a stranger's module raises
            raise DeviceError(
                f"{type(model).__name__} has to be copied to run on {self}, and that raised {type(error).__name__}: "
                f"{error}. Move it there yourself (model.to(...)), and run it as it is."
            ) from error

    def _is_here(self, t: torch.Tensor) -> bool:
        if t.device != self.device or (t.is_floating_point() and t.dtype != self.dtype):
            return False
        layout = self._layout_of_weights(t.ndim)
        return layout == torch.preserve_format or t.is_contiguous(memory_format=layout)

    def _layout_of_weights(self, ndim: int) -> torch.memory_format:
        # on a CPU convolutions reorder their weights in any case: the input's layout is enough
        on_gpu = self.device.type == "cuda" and self.channels_last
        return self._layout(ndim) if on_gpu else torch.preserve_format

    def _put_weight(self, t: torch.Tensor) -> torch.Tensor:
        if self._is_here(t):
            return t
        dtype = self.dtype if t.is_floating_point() else None
        new = t.detach().to(self.device, dtype, memory_format=self._layout_of_weights(t.ndim))
        return nn.Parameter(new, requires_grad=t.requires_grad) if isinstance(t, nn.Parameter) else new

    def _layout(self, ndim: int) -> torch.memory_format:
        layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
        return layouts.get(ndim, torch.contiguous_format) if self.channels_last else torch.contiguous_format


def short(dtype: torch.dtype) -> str:
    """A number type's name: "float32"."""
    return str(dtype).removeprefix("torch.")


def choose(
    model: nn.Module,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    channels_last: bool | str = "auto",
) -> Place:
    """Where and how a model runs best, as far as it is not said.

    Args:
        model: looked at, not touched.
        device: "auto": where its weights are when that is no CPU; else a GPU, when there is one; else the CPU.
        dtype: "auto": bfloat16 for float32 models on GPUs and CPUs that compute with it at full speed (NVIDIA from
            Ampere on, Intel with AMX); else the model's own. Or a type such as ``torch.float16`` or "float16".
        channels_last: "auto": for convolutional networks, on CPUs and on NVIDIA's GPUs.

    Raises DeviceError for a device that is not there, ConfigError for what is no device or no floating-point type.

    >>> print(choose(nn.Linear(2, 2), device="cpu", dtype="float64"))
    cpu, float64
    """
    of_model = next((p.device for p in model.parameters()), torch.device("cpu"))
    place = _device(device, of_model)
    number = _dtype(dtype, dtype_of(model), place)
    if channels_last == "auto":
        channels_last = place.type in ("cpu", "cuda") and _is_convolutional(model)
    if not isinstance(channels_last, bool):
        raise ConfigError(f'channels_last is True, False or "auto", not {quoted(channels_last)}.')
    return Place(place, number, channels_last)


def _device(wanted: str | torch.device, of_model: torch.device) -> torch.device:
    if isinstance(wanted, str) and wanted == "auto":
        if of_model.type not in ("cpu", "meta"):
            return of_model
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(f'device is "auto", "cpu", "cuda", "cuda:1" or the like, not {quoted(wanted)}.') from error
    if device.type == "cuda" and device.index is None and torch.cuda.is_available():
        device = torch.device("cuda", torch.cuda.current_device())
    if str(device) not in devices():
        raise DeviceError(f"There is no device {quoted(str(device))} here; there is {', '.join(devices())}.")
    return device


def _dtype(wanted: str | torch.dtype, of_model: torch.dtype, device: torch.device) -> torch.dtype:
    if isinstance(wanted, str) and wanted == "auto":
        return torch.bfloat16 if of_model == torch.float32 and _is_quick_in_bfloat16(device) else of_model
    found = getattr(torch, wanted.removeprefix("torch."), None) if isinstance(wanted, str) else wanted
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise ConfigError(f'dtype is "auto", or a floating-point type such as "bfloat16", not {quoted(wanted)}.')
    return found


def _is_quick_in_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
    # the tiles that AMX multiplies; without them a CPU gains little, or emulates
    return device.type == "cpu" and bool(getattr(torch.cpu, "_is_amx_tile_supported", bool)())


def _is_convolutional(model: nn.Module) -> bool:
    """Whether convolutions over maps and clips hold most of the parameters."""
    convolutions = sum(m.weight.numel() for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Conv3d)))
    return 2 * convolutions > sum(p.numel() for p in model.parameters())


def devices() -> dict[str, str]:
    """The devices of this machine: {"cpu": "cpu", "cuda:0": "NVIDIA H200 (cuda:0)"}."""
    found = {"cpu": "cpu"}
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            found[f"cuda:{i}"] = f"{torch.cuda.get_device_name(i)} (cuda:{i})"
    if torch.backends.mps.is_available():
        found["mps"] = "Apple GPU (mps)"
    return found


def synchronize(device: torch.device) -> None:
    """Wait until a device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def on(device: torch.device) -> AbstractContextManager[Any]:
    """A context in which a CUDA device is the current one."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def without_gradients(models: Iterable[nn.Module]) -> AbstractContextManager[Any]:
    """Inference mode where all models are of this kit's and torch's parts alone, else no gradients.

    Others may keep tensors for later use, which must not be inference tensors; and all are to run alike.
    """
    known = ("torch.nn.", "classykit.")
    plain = all(type(part).__module__.startswith(known) for model in models for part in model.modules())
    return torch.inference_mode() if plain else torch.no_grad()
