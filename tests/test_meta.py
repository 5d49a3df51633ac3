"""classykit.meta: weightless twins, which can be asked anything and leave the module alone."""

import pytest
import torch
from torch import nn
from torch.nn.parameter import is_lazy

import classykit as ck
from classykit.errors import DeviceError
from classykit.meta import dtype_of, empty_input, has_weights, meta_twin, registered, settle, shared_twin, weightless


class Keeper(nn.Module):
    """Holds tensors wherever a module can."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(4), requires_grad=False)
        self.tied = self.weight
        self.register_buffer("count", torch.zeros(1))
        self.listed, self.table, self.plain = [torch.ones(2), "text"], {"a": torch.ones(3)}, torch.ones(5)

    def forward(self, x):
        self.count += 1
        return x * self.weight


def everywhere(module):
    return [module.weight, module.tied, module.count, module.listed[0], module.table["a"], module.plain]


class TestMetaTwin:
    def test_all_of_its_tensors_are_weightless_and_none_of_the_modules(self, everything, assert_same):
        module = Keeper()
        meta_twin(module)(empty_input((4,), 3))  # what torch loads at the first pass adds a filter of warnings
        before = everything(module)
        twin = meta_twin(module)
        assert all(t.is_meta for t in everywhere(twin)) and not any(t.is_meta for t in everywhere(module))
        assert [t.shape for t in everywhere(twin)] == [t.shape for t in everywhere(module)]
        assert twin.tied is twin.weight and not twin.weight.requires_grad and twin.listed[1] == "text"
        assert twin(empty_input((4,), 3)).shape == (3, 4)
        assert_same(before, everything(module))

    def test_it_is_in_eval_mode_and_the_module_in_its_own(self):
        module = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout()).train()
        assert not any(part.training for part in meta_twin(module).modules()) and module[1].training

    def test_the_users_hooks_act_on_it_alone(self):
        module, ran = nn.Linear(2, 3), []
        module.register_forward_hook(lambda *a: ran.append(1))
        module.register_forward_pre_hook(lambda *a: ran.append(1))
        meta_twin(module)(empty_input((2,), 1))
        assert ran == [] and len(module._forward_hooks) == 1

    def test_one_part_can_be_left_out(self):
        module = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2**10))
        twin = meta_twin(module, without=module[1])
        assert list(twin.state_dict()) == ["0.weight", "0.bias"] and type(twin[1]) is nn.Module


class TestSharedTwin:
    def test_tensors_are_shared_and_the_tree_is_not(self):
        module = nn.Sequential(Keeper())
        twin = shared_twin(module)
        assert twin[0] is not module[0]
        assert all(a is b for a, b in zip(everywhere(twin[0]), everywhere(module[0]), strict=True))

    def test_hooks_are_kept_and_those_of_the_twin_are_its_own(self):
        module, ran = nn.Linear(2, 3), []
        module.register_forward_hook(lambda *a: ran.append("given"))
        twin = shared_twin(module)
        twin.register_forward_hook(lambda *a: ran.append("new"))
        module(torch.zeros(1, 2))
        assert ran == ["given"]
        twin(torch.zeros(1, 2))
        assert ran == ["given", "given", "new"]


def test_weightless_modules_draw_no_random_numbers():
    state = torch.get_rng_state()
    with weightless():
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(2**20, 2**20))
        nn.init.trunc_normal_(net[2].weight)
        real = torch.zeros(2, device="cpu").fill_(3)
    assert {t.device.type for t in net.state_dict().values()} == {"meta"} and real.tolist() == [3, 3]
    assert torch.equal(state, torch.get_rng_state()) and torch.zeros(1).device.type == "cpu"


def test_dtype_of():
    assert dtype_of(nn.Linear(2, 3).half()) == torch.float16
    assert dtype_of(nn.ReLU()) == torch.float32
    counters = nn.Module()
    counters.register_buffer("count", torch.zeros(1, dtype=torch.int64))
    assert dtype_of(counters) == torch.float32
    counters.register_buffer("mean", torch.zeros(1, dtype=torch.float64))
    assert dtype_of(counters) == torch.float64


def test_each_registered_tensor_once():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2, bias=False))
    model[2].weight = model[0].weight
    parameters, buffers = registered(model.modules())
    assert list(map(id, parameters)) == list(map(id, model.parameters()))
    assert list(map(id, buffers)) == list(map(id, model.buffers()))


class TestLazyModules:
    def lazy(self):
        return nn.Sequential(
            nn.LazyConv2d(6, 5, padding=2), nn.LazyBatchNorm2d(), nn.AvgPool2d(2), nn.Flatten(), nn.LazyLinear(10)
        )

    def test_a_twin_settles_and_the_original_does_not(self):
        net = self.lazy()
        assert not has_weights(net)
        twin = meta_twin(net)
        assert isinstance(twin[0].weight, nn.UninitializedParameter) and twin[0].weight.is_meta
        settle(twin, torch.empty(1, 1, 28, 28, device="meta"))
        assert twin[0].weight.shape == (6, 1, 5, 5) and twin[4].weight.shape == (10, 6 * 14 * 14)
        assert type(twin[0]) is nn.Conv2d and type(net[0]) is nn.LazyConv2d
        assert all(map(is_lazy, (net[0].weight, net[1].running_mean, net[4].bias)))
        assert len(net[0]._forward_pre_hooks) == 1  # which makes its weights, once it runs

    def test_what_does_not_come_to_run_is_empty(self):
        twin = meta_twin(self.lazy())
        settle(twin, torch.empty(1, 7, device="meta"))
        assert {p.numel() for p in twin.parameters()} == {0}

    def test_verbs(self):
        net, x = self.lazy(), torch.rand(2, 1, 28, 28)
        found = ck.inspect(net, (1, 28, 28)).require()
        wanted = 6 * 25 + 6 + 12 + 10 * 6 * 14 * 14 + 10
        assert found.params == wanted and found.macs == 28 * 28 * 6 * 25 + 10 * 6 * 14 * 14
        head = ck.ClassyModel.from_model(net, (1, 28, 28)).attach_head("0", "linear_probe", num_classes=3)
        assert head.in_plane == 6
        for ask in (lambda: ck.run(net, x), lambda: ck.capture(net, x, "0"), ck.explore(net, example=x).run):
            with pytest.raises(DeviceError, match="is lazy and has not run yet"):
                ask()
        assert is_lazy(net[0].weight)
        net(x)
        assert ck.run(net, x, device="cpu", dtype="float32", progress=False).output.shape == (2, 10)
