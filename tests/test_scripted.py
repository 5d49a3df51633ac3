"""classykit.scripted: ScriptModules, which run as one, beside modules that can be watched."""

import copy
import io

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import BlockError
from classykit.meta import meta_twin, shared_twin
from classykit.scripted import Opaque, outermost_scripts, plain_parts, stand_ins

X = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))
MACS = 10 * 10 * 8 * 27 + 8 * 8 * 8 * 72


def block(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3), nn.BatchNorm2d(o), nn.ReLU())


def net():
    torch.manual_seed(0)
    return nn.Sequential(block(3, 8), block(8, 8)).eval()


def loaded():
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(net()), buffer)
    buffer.seek(0)
    return torch.jit.load(buffer)


WHOLE = {"scripted": lambda: torch.jit.script(net()), "traced": lambda: torch.jit.trace(net(), X), "loaded": loaded}


@pytest.fixture(params=WHOLE)
def whole(request):
    return WHOLE[request.param]()


@pytest.fixture
def partly():
    model = net()
    model[1] = torch.jit.script(model[1])
    return model


class TestAWholeModel:
    def test_it_is_one_block_that_is_counted(self, whole):
        found = ck.inspect(whole, (3, 12, 12)).require()
        assert [b.type.split()[0] for b in found.blocks] == ["scripted"] and found.macs == MACS
        assert found.params == sum(p.numel() for p in net().parameters()) and found.note == ""

    def test_it_runs_where_it_should(self, whole):
        wanted = whole(X)
        for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-5), ("bfloat16", 0.1)):
            found = ck.run(whole, X, device="cpu", dtype=dtype, progress=False)
            assert found.place.dtype == getattr(torch, dtype)
            torch.testing.assert_close(found.output, wanted, rtol=tolerance, atol=tolerance)
        assert {p.dtype for p in whole.parameters()} == {torch.float32}

    def test_the_explorer(self, whole):
        app = ck.explore(ck.ClassyModel.from_model(whole, (3, 12, 12)))
        app.run()
        assert app.error == "" and app._scene.maps() is not None

    @pytest.mark.parametrize("name", ["0", "model", "0.0"])
    def test_nothing_in_it_can_be_watched(self, whole, name):
        if name == "0.0" and not any(n == name for n, _ in whole.named_modules()):
            pytest.skip("it has no such part")
        with pytest.raises(BlockError, match=r"scripted or traced .*cannot be watched"):
            ck.capture(whole, X, name)

    def test_no_head(self, whole):
        with pytest.raises(BlockError, match="cannot be watched"):
            ck.ClassyModel.from_model(whole, (3, 12, 12)).attach_head("model", "linear_probe", num_classes=2)


class TestAPart:
    def test_it_is_a_block_among_others(self, partly):
        found = ck.inspect(partly, (3, 12, 12)).require()
        assert [b.name for b in found.blocks] == ["0.0", "0.1", "1"] and found.macs == MACS
        assert found["1"].type == "scripted Sequential" and found["1"].output_shape == (8, 8, 8)
        assert found.params == sum(p.numel() for p in net().parameters())

    def test_what_is_around_can_be_watched(self, partly):
        assert torch.equal(ck.capture(partly, X, "0")["0"], partly[0](X))
        with pytest.raises(BlockError, match="cannot be watched"):
            ck.capture(partly, X, "1")
        rows = ck.profile_blocks(partly, X, device="cpu", dtype="float32", seconds=0.001, progress=False).rows
        assert [row.name for row in rows] == ["0.0", "0.1", "(rest)"]

    def test_its_mode_is_put_back(self, partly):
        partly.train()
        statistics = {k: v.clone() for k, v in partly.state_dict().items()}
        ck.run(partly, X, device="cpu", dtype="float32", progress=False)
        ck.capture(partly, X, "0")
        ck.inspect(partly, (3, 12, 12))
        assert partly[1].training and all(m.training for m in partly.modules())
        assert all(torch.equal(v, statistics[k]) for k, v in partly.state_dict().items())


def test_stand_ins(partly):
    assert list(outermost_scripts(partly)) == [partly[1]] and partly[1] not in list(plain_parts(partly))
    (stand_in,) = stand_ins(partly, "meta").values()
    assert isinstance(stand_in, Opaque) and all(p.is_meta for p in stand_in.parameters())
    twin = copy.deepcopy(meta_twin(partly))
    assert isinstance(twin[1], Opaque) and twin(X.to("meta")).shape == (2, 8, 8, 8)
    same = shared_twin(partly)
    assert torch.equal(same.eval()(X), partly(X)) and same[0][0].weight is partly[0][0].weight
    assert same[1].to(torch.float64)(X.double()[:, [0] * 8]).dtype == torch.float64
    assert {p.dtype for p in partly.parameters()} == {torch.float32}
