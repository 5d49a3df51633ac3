"""What several test modules share: reference models, random states, what a module is, the table of parity."""

import copy
import re
import warnings
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import classykit as ck

#: {family: the smallest config that has all its kinds of parts}
LIGHT = {
    "ResNeXt": {"name": "resnext", "num_blocks": [1, 2], "init_planes": 8, "base_width_and_cardinality": (4, 2)},
    "EfficientNet": {
        "name": "efficientnet",
        "model_params": {"width_coefficient": 0.1, "depth_coefficient": 0.1, "resolution": 32, "dropout_rate": 0.2},
        "num_classes": 7,
    },
    "VisionTransformer": {
        "name": "vision_transformer", "image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 2,
        "hidden_dim": 16, "mlp_dim": 24,
    },
    "MLP": {"name": "mlp", "input_dim": 12, "output_dim": 5, "hidden_dims": [16, 8], "use_batchnorm": True},
}  # fmt: skip

torch.set_num_threads(1)  # the tensors here are small: a second thread would only wait

_parity: dict[str, list[str]] = {}  # {model: [keys, shapes, parameters, outputs]}


@pytest.fixture(scope="session")
def light_configs():
    """One light config a family."""
    return copy.deepcopy(LIGHT)


@pytest.fixture(params=LIGHT)
def light(request):
    """A light config of each family in turn."""
    return copy.deepcopy(LIGHT[request.param])


@pytest.fixture(scope="session")
def input_for():
    """A random batch that a model takes."""

    def make(model, batch=2, seed=0, dtype=torch.float32):
        generator = torch.Generator().manual_seed(seed)
        shape = model.input_shape
        shape = (3, 64, 64) if shape == (3, 224, 224) else shape
        return torch.randn(batch, *shape, generator=generator).to(dtype)

    return make


@pytest.fixture(scope="session")
def randomise():
    """Give every parameter and buffer of a module a random value that keeps activations in range."""

    def make(module, seed=0):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, p in module.named_parameters():
                if p.ndim <= 1 and name.endswith("weight"):  # normalisation
                    p.copy_(0.5 + torch.rand(p.shape, generator=generator))
                elif p.ndim <= 1:
                    p.copy_(0.2 * torch.randn(p.shape, generator=generator))
                else:
                    fan = max(1, p[0].numel())
                    p.copy_(torch.randn(p.shape, generator=generator) / fan**0.5)
            for name, b in module.named_buffers():
                if name.endswith("running_mean"):
                    b.copy_(0.2 * torch.randn(b.shape, generator=generator))
                elif name.endswith("running_var"):
                    b.copy_(0.5 + torch.rand(b.shape, generator=generator))
        return module

    return make


@pytest.fixture(scope="session")
def reference():
    """Builds ClassyVision's model of a config: the nn.Module in its wrapper, or with ``wrapped`` the wrapper."""
    pytest.importorskip("classy_vision")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from classy_vision.models import build_model

    def make(config, wrapped=False, device=None):
        with torch.device(device or "cpu"):
            model = build_model(copy.deepcopy(config))
        return model if wrapped else model.classy_model

    return make


@pytest.fixture(scope="session")
def shapes():
    """{state key: shape} as a list of pairs, so that the order counts."""
    return lambda module: [(k, tuple(v.shape)) for k, v in module.state_dict().items()]


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
            },
            tensors={
                "parameters": tensors(module.named_parameters()),
                "gradients": tensors((k, p.grad) for k, p in module.named_parameters()),
                "buffers": tensors(module.named_buffers()),
                "random state": {"cpu": (0, 0, 0, torch.get_rng_state())},
            },
        )

    return look


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


class BatchNormThenInplace(nn.Module):
    """The output of ``bn`` is overwritten by the next operation."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.bn(self.conv(x)))


@pytest.fixture
def inplace_net():
    return BatchNormThenInplace()


@pytest.fixture
def small():
    """A light ResNeXt with random BatchNorm statistics, in eval mode, and an input for it."""
    torch.manual_seed(0)
    model = ck.build_model(copy.deepcopy(LIGHT["ResNeXt"])).eval()
    return model, torch.randn(2, 3, 32, 32)


@pytest.fixture(scope="session")
def assert_same_shell(reference, shapes, parity):
    """State keys, their order and shapes, on the meta device; and every block that the reference can attach to."""

    def check(config, label=None):
        label = label or config["name"]
        ours, theirs = ck.build_model(config, device="meta"), reference(config, device="meta")
        assert [k for k, _ in shapes(ours)] == [k for k, _ in shapes(theirs)]
        parity(label, "keys", f"{len(shapes(ours))} equal")
        assert shapes(ours) == shapes(theirs)
        parity(label, "shapes", "equal")
        count = [sum(p.numel() for p in m.parameters()) for m in (ours, theirs)]
        assert count[0] == count[1] == sum(p.numel() for p in ours.parameters() if p.requires_grad)
        parity(label, "parameters", f"{count[0]:,}")
        return ours, theirs

    return check


@pytest.fixture(scope="session")
def assert_same_blocks():
    """Ours lists the reference's canonical blocks in order, and knows every name that the reference can attach to."""

    def check(ours, theirs, canonical, added=()):
        paths = [path for path, _ in theirs.named_modules() if path and not path.startswith("_heads")]
        local = [path.rsplit(".", 1)[-1] for path in paths]
        assert [n for n in ours.block_names if n not in added] == [n for n in local if re.fullmatch(canonical, n)]
        for name, path in zip(local, paths, strict=True):
            if local.count(name) == 1 and name not in added:
                assert ours.find_block(name)[1] == path

    return check


@pytest.fixture(scope="session")
def assert_same_outputs(reference, randomise, input_for, parity):
    """Eval outputs with the same random weights and statistics: float32 <= 1e-5, float64 <= 1e-12."""

    def check(config, label=None, theirs_config=None, dtypes=(torch.float32, torch.float64)):
        theirs = randomise(reference(theirs_config or config)).eval()
        ours = ck.build_model(config).eval()
        ours.load_state_dict(theirs.state_dict(), strict=True)
        worst = {}
        for dtype in dtypes:
            x = input_for(ours, dtype=dtype)
            with torch.no_grad():
                a, b = ours.to(dtype)(x), theirs.to(dtype)(x)
            assert a.shape == b.shape and b.abs().max() > 1e-3
            worst[dtype] = (a - b).abs().max().item()
        if label is not None:
            parity(label, "outputs", ", ".join(f"{str(d)[6:]} {w:.0e}" for d, w in worst.items()))
        assert worst.get(torch.float32, 0) <= 1e-5 and worst.get(torch.float64, 0) <= 1e-12
        return ours.float(), theirs.float()

    return check


@pytest.fixture(scope="session")
def assert_trains_the_same():
    """Two models in train mode from the same seed: outputs, gradients and BatchNorm statistics."""

    def check(ours, theirs, x, tolerance=1e-5):
        results = []
        for model in (ours.train(), theirs.train()):
            model.zero_grad()
            torch.manual_seed(1)
            y = model(x)
            y.square().mean().backward()
            results.append((y.detach(), {k: p.grad for k, p in model.named_parameters()}, model.state_dict()))
        (y, grads, state), (y_ref, grads_ref, state_ref) = results
        torch.testing.assert_close(y, y_ref, atol=tolerance, rtol=tolerance)
        for got, wanted in ((grads, grads_ref), (state, state_ref)):
            assert got.keys() == wanted.keys()
            for key in got:
                torch.testing.assert_close(
                    got[key], wanted[key], atol=tolerance, rtol=1e-3, msg=lambda m, k=key: f"{k}: {m}"
                )

    return check


@pytest.fixture(scope="session")
def parity():
    """Notes one fact for the table that closes the run: ``parity(model, column, text)``."""
    columns = ("keys", "shapes", "parameters", "outputs")

    def note(model, column, text):
        _parity.setdefault(model, ["-"] * len(columns))[columns.index(column)] = str(text)

    return note


def pytest_terminal_summary(terminalreporter):
    if not _parity:
        return
    terminalreporter.section("parity: ours against the reference")
    rows = [("model", "keys", "shapes", "parameters", "max abs diff"), *((m, *facts) for m, facts in _parity.items())]
    width = [max(len(row[i]) for row in rows) for i in range(5)]
    for row in rows:
        terminalreporter.write_line("  ".join(text.ljust(w) for text, w in zip(row, width, strict=True)).rstrip())
