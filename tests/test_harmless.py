"""Rule 3: nothing that asks about a model changes it, nor the random state."""

import pytest
import sklearn  # noqa: F401  which adds filters for warnings when it is imported
import torch
from torch import nn

import classykit as ck
from classykit.harmless import harmless

ZOO = ["ResNeXt", "DenseNet", "EfficientNet", "AnyNet", "RegNet", "VisionTransformer", "ResNeXt3D", "MLP"]
TORCHVISION = ["resnet18", "mobilenet_v3_small", "swin_t"]
TIMM = ["resnet10t", "vit_tiny_patch16_224", "convnext_atto"]


def prepare(model, x):
    """In train mode, with gradients, a frozen layer, a part in eval mode and a hook, as in the middle of training."""
    model.train()
    out = model(x)
    (sum(o.sum() for o in out.values()) if isinstance(out, dict) else out.sum()).backward()
    parts = list(model.modules())
    parts[-1].eval()
    next(model.parameters()).requires_grad_(False)
    parts[1].register_forward_hook(lambda m, a, o: None)
    return model


@pytest.fixture(scope="module", params=[*ZOO, *(f"torchvision {n}" for n in TORCHVISION), *(f"timm {n}" for n in TIMM)])
def subject(request, light_configs, input_for):
    """(a model in train mode, an input, a block)"""
    torch.manual_seed(0)
    if request.param in ZOO:
        model = ck.build_model(light_configs[request.param])
        model.attach_head(model.block_names[-2], "linear_probe", num_classes=3)
        x, block = input_for(model), model.block_names[-1]
    else:
        package, name = request.param.split()
        if package == "torchvision":
            model = getattr(pytest.importorskip("torchvision.models"), name)()
        else:
            model = pytest.importorskip("timm").create_model(name, drop_path_rate=0.1)
        side = 224 if "vit" in name else 64
        x, block = torch.randn(2, 3, side, side), [n for n, _ in model.named_children()][1]
    return prepare(model, x), x, block


def own_head(model):
    """The head that `subject` attaches to ours."""
    return next(iter(model.head_paths())) if isinstance(model, ck.ClassyModel) else None


def first_layer(model):
    """The dotted path of the first convolution or linear layer."""
    kinds = (nn.Conv2d, nn.Conv3d, nn.Linear)
    return next(path for path, part in model.named_modules() if isinstance(part, kinds) and "_heads" not in path)


def in_words(act):
    """Where a model has no such thing, that is said."""
    try:
        act()
    except ck.errors.ClassyKitError as error:
        assert str(error)


ASK = {
    "inspect": lambda m, x, b: ck.inspect(m, tuple(x.shape[1:])),
    "capture": lambda m, x, b: ck.capture(m, x, b),
    "capture with gradients": lambda m, x, b: ck.capture(m, x, b, grad=True),
    "evidence": lambda m, x, b: in_words(lambda: ck.evidence(m, x, 1, head=own_head(m), blocks="all")),
    "attention": lambda m, x, b: in_words(lambda: ck.attention(m, x)),
    "effective_field": lambda m, x, b: in_words(lambda: ck.effective_field(m, x[:1], b)),
    "ablate": lambda m, x, b: ck.ablate(m, x, {b: [0]}),
    "probe": lambda m, x, b: in_words(
        lambda: ck.probe(
            m, torch.cat([x] * 2), [0, 1] * len(x), b, repeats=1, test=0.5, controls=(), device="cpu", progress=False
        )
    ),
    "similarity": lambda m, x, b: ck.similarity(m, x, [b]),
    "top_patches": lambda m, x, b: in_words(lambda: ck.top_patches(m, x, b, k=1)),
    "arithmetic": lambda m, x, b: ck.arithmetic(m, x, first_layer(m), at=()),
    "run": lambda m, x, b: ck.run(m, x, batch_size=1),
    "run elsewhere": lambda m, x, b: ck.run(m, x, dtype="float64", blocks=[b]),
    "peak memory": lambda m, x, b: ck.inspect(m, tuple(x.shape[1:])).peak_memory("training", batch_size=2),
    "layers": lambda m, x, b: ck.inspect(m, tuple(x.shape[1:])).layers(),
    "block_features": lambda m, x, b: isinstance(m, ck.ClassyModel) and m.block_features(m.block_names),
    "config": lambda m, x, b: isinstance(m, ck.ClassyModel) and (m.config, m.get_classy_state(), repr(m)),
    "full_config": lambda m, x, b: isinstance(m, ck.ClassyModel) and (m.full_config, str(ck.describe(m))),
    "inflate": lambda m, x, b: in_words(lambda: ck.inflate(m, frames=2)),
}


@pytest.mark.parametrize("ask", ASK)
def test_asking_changes_nothing(ask, subject, everything, assert_same):
    model, x, block = subject
    before, x_before = everything(model), x.clone()
    ASK[ask](model, x, block)
    assert_same(before, everything(model))
    assert torch.equal(x, x_before)


def test_exploring_changes_nothing(subject, everything, assert_same):
    model, x, _block = subject
    before = everything(model)
    app = ck.explore(model, image="grace_hopper" if model(x) is not None and x.ndim == 4 else None)
    assert app.inspection.params == sum(p.numel() for p in model.parameters())
    changed = everything(model)  # the pass above moved BatchNorm statistics on; the app did not
    app.selected_block = next(iter(app.inspection.blocks)).name
    app.attach_head(app.selected_block, "identity", unique_id="look")
    app._repr_mimebundle_()
    app.remove_head("look")
    assert_same(changed, everything(model))
    assert before.plain == changed.plain


@pytest.mark.parametrize("failing", [False, True])
def test_running_in_the_app_changes_nothing(failing, everything, assert_same, monkeypatch):
    model = pytest.importorskip("torchvision.models").resnet18()
    prepare(model, torch.randn(2, 3, 64, 64))
    before = everything(model)
    app = ck.explore(model, image="grace_hopper")
    if failing:
        app.model.get_submodule("model.layer4").register_forward_hook(lambda *a: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            app.run()
    else:
        app.attach_head("layer2.0", "fully_connected", num_classes=3)
        app.run()
        app.selected_block = "layer1.0"
    assert_same(before, everything(model))


class Restless(nn.Module):
    """Writes to, and replaces, its buffers in every pass; draws random numbers; may fail."""

    def __init__(self):
        super().__init__()
        self.register_buffer("written", torch.zeros(1))
        self.register_buffer("replaced", torch.zeros(1))
        self.register_buffer("absent", None)
        self.bn = nn.BatchNorm1d(3)
        self.fail = False

    def forward(self, x):
        self.written += 1
        self.replaced = self.replaced + torch.rand(1)
        if self.fail:
            raise RuntimeError("as asked")
        return self.bn(x)


@pytest.mark.parametrize("fail", [False, True])
def test_buffers_modes_and_random_state_come_back(fail, everything, assert_same):
    model = Restless()
    model.bn.eval()
    before = everything(model)
    model.fail = fail
    try:
        with harmless(model):
            assert not model.training
            model(torch.randn(4, 3))
            assert model.written == 1
    except RuntimeError:
        assert fail
    assert_same(before, everything(model))


def test_a_graph_through_a_buffer_survives():
    # a buffer that was not written to keeps its version, so a backward pass that needs it still works
    model = nn.BatchNorm1d(3).eval()
    x = torch.randn(4, 3, requires_grad=True)
    y = model(x)
    with harmless(model):
        model(torch.randn(2, 3))
    y.sum().backward()
    assert x.grad is not None


def test_a_model_built_for_inference_only():
    with torch.inference_mode():
        model = ck.build_model("resnext", num_blocks=[1], init_planes=8)
    with torch.inference_mode():
        assert ck.capture(model, torch.randn(1, 3, 32, 32), "block0-0")["block0-0"].shape == (1, 32, 8, 8)
    assert model.training


class Noisy(nn.Module):
    """Draws random numbers in every pass, on the CPU, wherever it runs."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

    def forward(self, x):
        return self.last(self.first(x) * (1 + torch.rand(1).to(x.device)))


@pytest.mark.parametrize("ask", [
    lambda m: ck.inspect(m, (3, 16, 16)),
    lambda m: ck.inspect(m, (3, 16, 16)).peak_memory("training", batch_size=2),
    lambda m: ck.inspect(m, (3, 16, 16)).layers(),
    lambda m: ck.inspect(m, (5, 16, 16)),
    lambda m: ck.ClassyModel.from_model(m).block_names,
    lambda m: ck.run(m, torch.zeros(2, 3, 16, 16)),
    lambda m: ck.compare([m, "resnet18"], input_shape=(3, 64, 64)),
])  # fmt: skip
def test_a_model_that_draws_random_numbers_draws_none_of_the_users(ask):
    model = Noisy()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    ask(model)
    assert torch.equal(torch.get_rng_state(), before)
