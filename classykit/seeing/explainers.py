"""Methods of torchcam's and captum's, handed the block, the shape and the class that the kit knows already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from classykit.errors import ConfigError, MissingDependencyError, suggest
from classykit.features import Features, as_maps, main_tensor
from classykit.hooks import Hooks
from classykit.meta import shared_twin
from classykit.nested import parts_of, rebuilt
from classykit.running.recording import record_paths
from classykit.seeing.view import View

_TORCHCAM = ("GradCAM", "GradCAMpp", "SmoothGradCAMpp", "XGradCAM", "LayerCAM", "ScoreCAM", "SSCAM", "ISCAM")
_OF_LAYERS = (
    "LayerGradCam", "LayerActivation", "LayerGradientXActivation", "LayerIntegratedGradients", "LayerDeepLift",
    "LayerGradientShap", "LayerConductance", "InternalInfluence",
)  # fmt: skip
_OF_INPUTS = ("Saliency", "InputXGradient", "IntegratedGradients", "DeepLift", "GuidedBackprop", "Deconvolution")
METHODS = (*_TORCHCAM, *_OF_LAYERS, *_OF_INPUTS)


def explained(method: str, look: View, path: str, blocks: Mapping[str, str], target: list[int]) -> dict[str, Any]:
    """{block: (N, h, w)} by a method of torchcam's or captum's; those of the input alone give {"input": (N, H, W)}.

    They work on a copy of the module tree that shares the weights: nothing of the model is changed by them. ``path``
    is what gives the scores, ``blocks`` are {name: dotted path}.

    Raises ConfigError for an unknown method, MissingDependencyError when the library is not installed.
    """
    if method not in METHODS:
        raise ConfigError(
            f"There is no method {method!r}.{suggest(method, METHODS)} Besides 'auto' and 'gradcam' there are, of "
            f"torchcam's, {', '.join(_TORCHCAM)}; of captum's, {', '.join((*_OF_LAYERS, *_OF_INPUTS))}."
        )
    x = look.x.detach().clone().requires_grad_() if isinstance(look.x, torch.Tensor) else look.x
    if not isinstance(x, torch.Tensor):
        raise ConfigError(
            f"{method} takes one tensor of pictures (N, C, H, W), and {look.name} was given something else."
        )
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # some draw samples
        if method in _OF_INPUTS:
            net = _Scores(look, path, None)
            found = getattr(_library("captum.attr", "captum"), method)(net).attribute(x, target=target)
            return {"input": found.detach().sum(1)}
        maps = {}
        for name, block in blocks.items():
            net = _Scores(look, path, block)
            run = _by_torchcam if method in _TORCHCAM else _by_captum
            maps[name] = run(method, net, x, target).detach()
        return maps


def _by_torchcam(method: str, net: _Scores, x: torch.Tensor, target: list[int]) -> torch.Tensor:
    kind = getattr(_library("torchcam.methods", "torchcam"), method)
    with kind(net, target_layer=net.place, input_shape=tuple(x.shape[1:])) as extractor:
        scores = net(x)
        return extractor(target, scores, normalized=False)[0]


def _by_captum(method: str, net: _Scores, x: torch.Tensor, target: list[int]) -> torch.Tensor:
    one = getattr(_library("captum.attr", "captum"), method)(net, net.place)
    if method == "LayerActivation":
        found = one.attribute(x)
    elif method == "LayerGradientShap":
        found = one.attribute(x, baselines=torch.zeros_like(x[:1]), target=target)
    else:
        found = one.attribute(x, target=target)
    return found.sum(1)


def _library(module: str, package: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f'This method is {package}\'s, which is not installed: pip install "classykit[explain]", or pip install '
            f"{package}."
        ) from error


class _Scores(nn.Module):
    """A model that gives nothing but scores (N, classes), on a twin that shares the weights, which get no gradients.

    What a block gives passes ``place``, as a map with the channels first, whatever it is: there explainers listen.
    """

    def __init__(self, look: View, path: str, block: str | None):
        super().__init__()
        self.place = nn.Identity()
        self.net = shared_twin(look.model).eval()
        self._path, self._size = path, look.size
        for part in self.net.modules():
            for name, p in part._parameters.items():
                if p is not None:
                    part._parameters[name] = nn.Parameter(p.detach(), requires_grad=False)
        if block is not None:
            Hooks().after(self.net.get_submodule(block), self._passing, first=True)

    def _passing(self, module: nn.Module, args: Any, output: Any) -> Any:
        n = args[0].shape[0] if args and isinstance(args[0], torch.Tensor) else len(output)
        key, features = main_tensor(output, n)
        known = Features.of(features, n, self._size is None or self._size[0] == self._size[1])
        assert isinstance(features, torch.Tensor) and known is not None
        maps = as_maps(features, self._size, known)
        assert maps is not None
        new = self._put_back(self.place(maps), features, known)
        return new if key is None else rebuilt(output, {**(parts_of(output) or {}), key: new})

    def _put_back(self, maps: torch.Tensor, features: torch.Tensor, known: Features) -> torch.Tensor:
        """Maps in the layout in which the block gave them; tokens before the patches stay as they were."""
        if known.kind == "tokens":
            tokens = maps.flatten(2).transpose(1, 2)  # (N, L, C)
            tokens = tokens.transpose(0, 1) if known.batch_dim == 1 else tokens
            dim = 0 if known.batch_dim == 1 else 1
            before = features.narrow(dim, 0, features.shape[dim] - tokens.shape[dim])
            return torch.cat([before, tokens], dim)
        return maps.movedim(1, -1) if known.channels_last else maps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return record_paths(self.net, x, [self._path], torch.is_grad_enabled())[self._path].flatten(1)
