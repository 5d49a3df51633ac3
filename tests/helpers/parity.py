"""Plugin of pytest: comparisons with ClassyVision's models and heads, and the table of parity that closes a run."""

import copy
import re
import warnings

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.heads import build_head

COLUMNS = ("keys", "shapes", "parameters", "outputs", "heads")
_parity: dict[str, dict[str, str]] = {}  # {model: {column: fact}}


# ---- models ----


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


# ---- heads ----


@pytest.fixture(scope="session")
def reference_head():
    """Builds ClassyVision's head of a config."""
    heads = pytest.importorskip("classy_vision.heads")
    # the reference has no default for it
    return lambda config: heads.build_head(
        {"pool_size": None, **config} if "convolutional" in config["name"] else dict(config)
    )


@pytest.fixture(scope="session")
def assert_same_head(reference_head, randomise, shapes, parity):
    """A head of one config on both sides: state keys, and outputs <= 1e-12 in float64; a row of the table of parity."""

    def check(config, x, train, label):
        ours, theirs = build_head(copy.deepcopy(config)), randomise(reference_head(config))
        assert shapes(ours) == shapes(theirs)
        ours.load_state_dict(theirs.state_dict())
        x, results = x.double(), []
        for head in (ours, theirs):
            torch.manual_seed(3)
            results.append(head.double().train(train)(x.clone()))
        assert (results[0] - results[1]).abs().max() <= 1e-12
        facts = {
            "keys": f"{len(shapes(ours))} equal", "shapes": "equal",
            "parameters": f"{sum(p.numel() for p in ours.parameters()):,}",
            "outputs": "float64 <= 1e-12, eval and train", "heads": "itself",
        }  # fmt: skip
        for column, fact in facts.items():
            parity(f"head: {label}", column, fact)

    return check


@pytest.fixture(scope="session")
def assert_head_starts_the_same(reference_head):
    """Of a new head, what is zero is zero in the reference's, too."""

    def check(config):
        torch.manual_seed(0)
        ours, theirs = build_head(config).state_dict(), reference_head(config).state_dict()
        for key in theirs:
            assert bool(ours[key].any()) == bool(theirs[key].any()), f"{key} is zero in one only"

    return check


# ---- the table ----


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
