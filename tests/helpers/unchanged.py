"""Plugin of pytest: whether anything of a module, or of torch, is another than before."""

import warnings
from types import SimpleNamespace

import pytest
import sympy  # noqa: F401  adds a warning filter, when torch first needs it
import torch
from torch import nn


@pytest.fixture(scope="session")
def everything():
    """All there is to know about a module, and the random state: equal before and after what changes nothing."""

    def look(module):
        def tensors(named):
            return {k: None if v is None else (id(v), v.dtype, v.device, v.detach().clone()) for k, v in named}

        parts = list(module.named_modules(remove_duplicate=False))
        hooks = [k for k in vars(module) if "hook" in k and isinstance(vars(module)[k], dict)]
        return SimpleNamespace(
            plain={
                "modules": [(name, id(m), type(m)) for name, m in parts],
                "modes": [m.training for _, m in parts],
                "hooks": [list(vars(m)[k].items()) for _, m in parts for k in hooks],
                "attributes": [sorted(vars(m)) for _, m in parts],
                "requires_grad": [p.requires_grad for p in module.parameters()],
                "globals": _globals(),
            },
            tensors={
                "parameters": tensors(module.named_parameters()),
                "gradients": tensors((k, p.grad) for k, p in module.named_parameters()),
                "buffers": tensors(module.named_buffers()),
                "random state": {"cpu": (0, 0, 0, torch.get_rng_state())},
            },
        )

    return look


def _globals():
    """Settings of torch that a pass may be tempted to change."""
    from torch.overrides import _get_current_function_mode_stack
    from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

    return {
        "grad": torch.is_grad_enabled(), "inference": torch.is_inference_mode_enabled(),
        "dtype": torch.get_default_dtype(), "device": torch.get_default_device(), "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "fused attention": torch.backends.mha.get_fastpath_enabled(), "mkldnn": torch.backends.mkldnn.enabled,
        "cudnn": (torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "matmul": torch.get_float32_matmul_precision(), "autocast": torch.is_autocast_enabled("cpu"),
        "modes": (len(_get_current_function_mode_stack()), len(_get_current_dispatch_mode_stack())),
        "hooks": [len(v) for k, v in vars(nn.modules.module).items() if k.startswith("_global_") and "hooks" in k],
        "warnings": len(warnings.filters),
    }  # fmt: skip


@pytest.fixture(scope="session")
def assert_same():
    """Compare two looks of `everything`."""

    def check(before, after):
        for what in before.plain:
            assert before.plain[what] == after.plain[what], what
        for what, old in before.tensors.items():
            new = after.tensors[what]
            assert old.keys() == new.keys(), what
            for key, value in old.items():
                if value is None:
                    assert new[key] is None, f"{what}: {key}"
                    continue
                assert value[:3] == new[key][:3], f"{what}: {key} was replaced"
                assert torch.equal(value[3], new[key][3]), f"{what}: {key} changed"

    return check
