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
    "DenseNet": {"name": "densenet", "num_blocks": [2, 2], "init_planes": 8, "growth_rate": 4},
    "EfficientNet": {
        "name": "efficientnet",
        "model_params": {"width_coefficient": 0.1, "depth_coefficient": 0.1, "resolution": 32, "dropout_rate": 0.2},
        "num_classes": 7,
        # the reference has no defaults for these
        "bn_momentum": 0.01, "bn_epsilon": 1e-3, "width_divisor": 8, "min_width": None, "drop_connect_rate": 0.2,
        "use_se": True,
    },
    "AnyNet": {
        "name": "anynet", "depths": [1, 2], "widths": [8, 16], "group_widths": [4, 8],
        "bottleneck_multipliers": [1.0, 2.0], "strides": [2, 2], "stem_width": 8,
    },
    "RegNet": {
        "name": "regnet", "depth": 3, "w_0": 8, "w_a": 8.0, "w_m": 2.0, "group_width": 4, "stem_width": 8,
    },
    "VisionTransformer": {
        "name": "vision_transformer", "image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 2,
        "hidden_dim": 16, "mlp_dim": 24,
    },
    "ResNeXt3D": {
        "name": "resnext3d", "input_planes": 3, "clip_crop_size": 16, "frames_per_clip": 2, "num_blocks": [1, 2],
        "skip_transformation_type": "preactivated_shortcut",
        "residual_transformation_type": "preactivated_bottleneck_transformation",
        "stem_planes": 8, "stage_planes": 8, "width_per_group": 4,
    },
    "MLP": {"name": "mlp", "input_dim": 12, "output_dim": 5, "hidden_dims": [16, 8], "use_batchnorm": True},
}  # fmt: skip

torch.set_num_threads(1)  # the tensors here are small: a second thread would only wait

COLUMNS = ("keys", "shapes", "parameters", "outputs", "heads")
_parity: dict[str, dict[str, str]] = {}  # {model: {column: fact}}


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
    """Builds ClassyVision's model of a config: the nn.Module in its wrapper, or with ``wrapped`` the wrapper.

    ResNeXt3D's trunk gives a list of pathways, of which there is only ever one: it is given alone here.
    """
    pytest.importorskip("classy_vision")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from classy_vision.models import build_model

    def make(config, wrapped=False, device=None):
        with torch.device(device or "cpu"):
            model = build_model(copy.deepcopy(config))
        model.classy_model.register_forward_hook(_only_pathway)
        return model if wrapped else model.classy_model

    return make


def _only_pathway(module, args, output):
    return output[0] if isinstance(output, list) else output


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
    """State keys, their order and shapes, on the meta device; a ``label`` makes it a row of the table of parity."""

    def check(config, label=None, theirs_config=None):
        ours, theirs = ck.build_model(config, device="meta"), reference(theirs_config or config, device="meta")
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


#: {kind of features: the reference's head for it}
HEAD_FOR = {
    "map2d": "fully_connected", "map3d": "fully_convolutional_linear", "vector": "vision_transformer_head",
}  # fmt: skip


@pytest.fixture(scope="session")
def assert_same_heads(randomise, shapes, parity):
    """A head of one config on both sides, at the trunk's end: its state keys, and its logits <= 1e-12 (in float64)."""

    def check(ours, theirs, x, label=None, note=""):
        from classy_vision.heads import build_head

        names = ours.block_names
        block = next((b for b in ("trunk_output", "mlp") if b in names or b == ours.config["name"]), names[-1])
        kind = HEAD_FOR[ours.block_features([block])[block].kind]
        ours.set_heads({block: [{"name": kind, "unique_id": "cls", "num_classes": 5}]})
        head = randomise(ours.get_heads()[ours.find_block(block)[0]][0])
        theirs_head = build_head({"pool_size": None, **head.config} if "conv" in kind else head.config)
        assert shapes(head) == shapes(theirs_head)
        theirs_head.load_state_dict(head.state_dict())
        theirs.set_heads({block: [theirs_head.to(x.dtype).eval()]})
        with torch.no_grad():
            got, _ = ours(x), theirs(x)
            wanted = theirs.execute_heads()["cls"]
        assert got.shape == wanted.shape == (len(x), 5) and wanted.abs().max() > 1e-3
        worst = (got - wanted).abs().max().item()
        ours.clear_heads(), theirs.clear_heads()
        parity(label, "heads", f"{kind}: {len(shapes(head))} keys, {str(x.dtype)[6:]} {worst:.0e}{note}")
        assert worst <= 1e-12

    return check


@pytest.fixture(scope="session")
def assert_same_outputs(reference, randomise, input_for, assert_same_heads, parity):
    """Eval outputs with the same random weights and statistics: float32 <= 1e-5, float64 <= 1e-12, and a head's."""

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
        parity(label, "outputs", ", ".join(f"{str(d)[6:]} {w:.0e}" for d, w in worst.items()))
        assert worst.get(torch.float32, 0) <= 1e-5 and worst.get(torch.float64, 0) <= 1e-12
        if label is not None:
            assert_same_heads(ours.double(), theirs.double(), input_for(ours, dtype=torch.float64), label)
        return ours.float(), theirs.float()

    return check


def _shorten(model, keep):
    """Leave out all but the first blocks of each stage, or layers; returns how many were left out."""
    left_out = 0
    for row in [m for m in model.modules() if isinstance(m, nn.Sequential)]:
        for name in list(row._modules):
            found = re.fullmatch(r"(?:block\d+-|layer_)(\d+)", name)
            if found and int(found[1]) >= keep:
                del row._modules[name]
                left_out += 1
    return left_out


@pytest.fixture(scope="session")
def assert_same_results(assert_same_heads, randomise, parity):
    """Outputs in float64, and those of a head, of two models on the meta device, which share one set of weights.

    ``shape`` is that of one input. Models of more than ``most`` parameters are run without most of the blocks of each
    stage; the table then says "light".
    """

    def check(ours, theirs, label, shape, most=7e7):
        note, size = "", sum(p.numel() for p in ours.parameters())
        if size > most:
            left_out = [_shorten(model, keep=1 if size > 5e8 else 2) for model in (ours, theirs)]
            assert left_out[0] == left_out[1] > 0
            note = f" (light: without {left_out[0]} blocks)"
        ours = randomise(ours.double().to_empty(device="cpu")).eval()
        theirs.load_state_dict(ours.state_dict(), strict=True, assign=True)
        theirs.eval()
        x = torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            a, b = ours(x), theirs(x)
        assert a.shape == b.shape and b.abs().max() > 1e-3
        worst = (a - b).abs().max().item()
        parity(label, "outputs", f"float64 {worst:.0e}{note}")
        assert worst <= 1e-12
        assert_same_heads(ours, theirs, x, label, note)

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
    """Notes one fact for the tables that close the run: ``parity(model, column, text)``; no model, no note."""

    def note(model, column, text):
        assert column in COLUMNS
        if model is not None:
            _parity.setdefault(model, {})[column] = str(text)

    return note


@pytest.fixture(scope="session")
def parity_rows():
    """The rows noted so far: {model: {column: fact}}; and all columns that a row of the reference's models has."""
    return _parity, COLUMNS


def pytest_terminal_summary(terminalreporter):
    """Two tables: models that were compared part by part, and those of which there are outputs only."""
    whole = {model: facts for model, facts in _parity.items() if facts.keys() != {"outputs"}}
    for title, rows, columns in (
        ("parity: ours against ClassyVision", whole, COLUMNS),
        ("parity: ours against other libraries", {m: f for m, f in _parity.items() if m not in whole}, ("outputs",)),
    ):
        if rows:
            terminalreporter.section(title)
            table = [("model", *columns), *((m, *(facts.get(c, "-") for c in columns)) for m, facts in rows.items())]
            width = [max(map(len, column)) for column in zip(*table, strict=True)]
            for row in table:
                line = "  ".join(text.ljust(w) for text, w in zip(row, width, strict=True))
                terminalreporter.write_line(line.rstrip())
