"""classykit.models.taps: heads see what their blocks gave, and nothing outlives the call."""

import copy
import gc
import weakref

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.heads import ClassyHead, IdentityHead


def test_an_inplace_operation_after_the_block_changes_nothing(inplace_net):
    model = ck.ClassyModel.from_model(inplace_net, input_shape=(3, 8, 8)).eval()
    x = torch.randn(2, 3, 8, 8)
    wanted = inplace_net.bn(inplace_net.conv(x))
    assert wanted.min() < 0
    model.attach_head("bn", "identity")
    torch.testing.assert_close(model(x), wanted)
    model.set_heads({"bn": [IdentityHead(unique_id="a")], "conv": [IdentityHead(unique_id="b")]})
    got = model(x)
    torch.testing.assert_close(got["a"], wanted)
    torch.testing.assert_close(got["b"], inplace_net.conv(x))
    again = copy.deepcopy(model)
    torch.testing.assert_close(again(x)["a"], wanted)


def test_an_inplace_block_inside_a_family(small):
    model, x = small
    path = "blocks.0.block0-0.bn"
    wanted = []
    handle = model.get_submodule(path).register_forward_hook(lambda m, a, o: wanted.append(o.clone()))
    model(x)
    handle.remove()
    model.attach_head(path, "identity")
    torch.testing.assert_close(model(x), wanted[0])


def test_a_user_hook_that_replaces_a_blocks_output(small):
    # what the hook returns is what the block gives: to the trunk, to heads and to capture
    model, x = small
    model.get_submodule("blocks.0.block0-0").register_forward_hook(lambda m, a, o: o * 0)
    model.attach_head("block0-0", "identity")
    assert not model(x).any() and not ck.capture(model, x, "block0-0")["block0-0"].any()


@pytest.mark.parametrize("where", ["block", "head"])
def test_an_exception_leaves_nothing_behind(where, small):
    model, x = small
    recorded = []

    class Broken(ClassyHead):
        broken = True

        def forward(self, x):
            if self.broken and where == "head":
                raise RuntimeError("broken head")
            return x.mean((2, 3))

    def note(module, args, output):
        recorded.append(weakref.ref(output))

    def fail(module, args):
        raise RuntimeError("broken block")

    head = Broken("b")
    head.broken = False
    model.attach_head("block0-0", head)
    wanted = model(x)
    head.broken = True
    model.get_submodule("blocks.0.block0-0").register_forward_hook(note)
    handle = model.get_submodule("blocks.1.block1-0").register_forward_pre_hook(fail) if where == "block" else None
    with torch.no_grad(), pytest.raises(RuntimeError, match=f"broken {where}"):
        model(x)
    gc.collect()
    assert len(recorded) == 1 and recorded[0]() is None
    head.broken = False
    if handle is not None:
        handle.remove()
    torch.testing.assert_close(model(x), wanted)


def test_a_model_inside_another(small):
    inner, x = small
    inner.attach_head("block0-0", "fully_connected", num_classes=3)
    outer = ck.ClassyModel.from_model(nn.Sequential(nn.ReLU(), inner), input_shape=(3, 32, 32)).eval()
    wanted = inner(x.relu())
    torch.testing.assert_close(outer(x), wanted)
    outer.attach_head("model.0", "identity")
    torch.testing.assert_close(outer(x), x.relu())
    torch.testing.assert_close(inner(x.relu()), wanted)
    outer.set_heads({"model.1": [IdentityHead(unique_id="inner")]})
    torch.testing.assert_close(outer(x), wanted)


def test_a_block_that_runs_twice_is_seen_the_first_time():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            return self.conv(self.conv(x))

    net = Twice().eval()
    model, x = ck.ClassyModel.from_model(net, input_shape=(3, 8, 8)).eval(), torch.randn(2, 3, 8, 8)
    model.attach_head("conv", "identity")
    torch.testing.assert_close(model(x), net.conv(x))
