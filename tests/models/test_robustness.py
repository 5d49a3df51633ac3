"""What a model with heads goes through: threads, a thousand calls, compilers, copies, files, data parallelism.

Each with one light model a family, a head in its middle and one at its end. As a script, this is one process of the
test of DistributedDataParallel.
"""

import copy
import gc
import io
import pickle
import shutil
import subprocess
import sys
import threading
import weakref

import pytest
import torch
from torch import nn

import classykit as ck

OLD_EXPORT = tuple(int(n) for n in torch.__version__.split(".")[:2]) < (2, 9)
IDS = ("a.b", "type")  # a dot, and an attribute's name: what nn.ModuleDict refuses
CASES = [
    "ResNeXt", "DenseNet", "EfficientNet", "AnyNet", "RegNet", "VisionTransformer", "ResNeXt3D", "MLP",
    "ResNeXt3D, input_key", "ResNeXt without heads", "ResNeXt with one head",
]  # fmt: skip


def config_of(case, light_configs):
    """The light config of a case, with its heads: a linear probe in the middle, the family's own head at the end."""
    config = copy.deepcopy(light_configs[case.split(",")[0].split()[0]])
    if case.endswith("input_key"):
        config["input_key"] = "video"
    shell = ck.build_model(config, device="meta")
    middle, end = shell.block_names[len(shell.block_names) // 2], shell.block_names[-1]
    kind = {"map2d": "fully_connected", "map3d": "fully_convolutional_linear", "vector": "vision_transformer_head"}
    heads = [
        {"name": "linear_probe", "num_classes": 3, "fork_block": middle},
        {"name": kind[shell.block_features([end])[end].kind], "num_classes": 4, "fork_block": end},
    ]
    heads = {"ResNeXt without heads": [], "ResNeXt with one head": heads[1:]}.get(case, heads)
    config["heads"] = [{**head, "unique_id": unique_id} for head, unique_id in zip(heads, IDS, strict=False)]
    return config


@pytest.fixture
def build(light_configs, randomise):
    """Builds the model of a case, in eval mode, with weights that let every part matter."""
    return lambda case: randomise(ck.build_model(config_of(case, light_configs))).eval()


@pytest.fixture
def inputs(input_for):
    """Different inputs for a model: ``inputs(model, seed, batch)``."""

    def make(model, seed=0, batch=2):
        x = input_for(model, batch=batch, seed=seed)
        x = x[..., :32, :32] if x.ndim == 4 else x
        return x if getattr(model, "input_key", None) is None else {model.input_key: x}

    return make


@pytest.fixture
def subject(request, build, inputs):
    """(model, input, what the model says to it)"""
    model = build(request.param)
    x = inputs(model)
    with torch.no_grad():
        wanted = model(x)
    if isinstance(wanted, dict):
        assert list(wanted) == list(IDS)
    assert all(o.shape[0] == 2 and not torch.allclose(o[0], o[1]) for o in outputs(wanted)), "the input matters"
    return model, x, wanted


every_case = pytest.mark.parametrize("subject", CASES, indirect=True)
every_family = pytest.mark.parametrize("subject", CASES[:8], indirect=True)
#: those that differ most in what they pass on; the others take their time
a_few = pytest.mark.parametrize(
    "subject", ["VisionTransformer", "ResNeXt3D, input_key", "MLP",
                *(pytest.param(c, marks=pytest.mark.slow) for c in CASES[:7])], indirect=True,
)  # fmt: skip


def outputs(given):
    return list(given.values()) if isinstance(given, dict) else [given]


def loss_of(given):
    return sum(o.square().mean() for o in outputs(given))


def assert_outputs_close(got, wanted, **tolerance):
    if isinstance(wanted, dict):
        assert list(got) == list(wanted)
    for a, b in zip(outputs(got), outputs(wanted), strict=True):
        torch.testing.assert_close(a, b, **tolerance)


def gradients(model, given):
    """{parameter: gradient} of `loss_of`; every one is there and not zero."""
    grads = torch.autograd.grad(loss_of(given), list(model.parameters()))
    assert all(g.isfinite().all() for g in grads)
    return dict(zip([n for n, _ in model.named_parameters()], grads, strict=True))


# ---- calls ----


@every_case
def test_eight_threads_get_the_answers_of_one(subject, inputs):
    model, _, _ = subject
    xs = [inputs(model, seed=i, batch=1 + i % 3) for i in range(8)]
    with torch.no_grad():
        wanted = [model(x) for x in xs]
    got, start = [None] * 8, threading.Barrier(8)

    def work(i):
        start.wait()
        with torch.no_grad():
            got[i] = [model(xs[i]) for _ in range(6)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # they take turns within a pass
    try:
        [t.start() for t in threads]
        [t.join() for t in threads]
    finally:
        sys.setswitchinterval(interval)
    assert [answers and len(answers) for answers in got] == [6] * 8, "each thread got through"
    for answers, want in zip(got, wanted, strict=True):
        for answer in answers:
            assert_outputs_close(answer, want)


class Saved:
    """A tensor that autograd saved; lives as long as its graph."""

    def __init__(self, tensor):
        self.tensor = tensor.detach()  # as it is, an output would hold the graph that holds it


def grown(model, x, calls):
    """How much more is alive after a few calls with gradients and so many without than before."""
    saved = weakref.WeakSet()

    def pack(tensor):
        box = Saved(tensor)
        saved.add(box)
        return box

    def run(calls):
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda box: box.tensor):
            for _ in range(20):
                model(x)
        with torch.no_grad():
            for _ in range(calls):
                model(x)
        gc.collect()

    run(5)
    before = len(saved), sys.getallocatedblocks()
    gc.freeze()  # what there is now is not looked at again
    try:
        run(calls)
        new = gc.get_objects()
        blocks = sys.getallocatedblocks() - before[1]
        tensors = [o for o in new if issubclass(type(o), torch.Tensor)]
    finally:
        gc.unfreeze()
    return {"tensors": len(tensors), "saved": len(saved) - before[0], "objects": len(new), "blocks": blocks}


@every_family
def test_a_thousand_calls_keep_nothing(subject):
    model, x, wanted = subject
    heads = len(outputs(wanted)) if model.head_outputs else 0
    more = grown(model, x, 1000)
    assert more["tensors"] == heads and more["saved"] == 0, more  # the last outputs
    assert more["objects"] < 50 and more["blocks"] < 200, more


@pytest.mark.parametrize("what", ["outputs", "numbers"])
def test_what_is_kept_would_be_seen(what, build, inputs):
    model, kept = build("ResNeXt"), []
    model.register_forward_hook(lambda m, a, o: kept.append(o["type"] if what == "outputs" else o["type"].shape[0] / 7))
    more = grown(model, inputs(model), 1000)
    assert more["blocks"] > 1000
    assert (more["tensors"] > 1000) == (more["saved"] > 1000) == (what == "outputs")


@every_family
def test_features_are_let_go_with_the_call(subject):
    model, x, _ = subject
    refs = []
    for name in model.block_names:
        path = model.find_block(name)[1]
        model.get_submodule(path).register_forward_hook(lambda m, a, o: refs.append(weakref.ref(o)))
    with torch.no_grad():
        out = model(x)
    gc.collect()
    kept = [r() for r in refs if r() is not None]
    assert len(refs) >= len(model.block_names)
    assert all(any(k is o for o in outputs(out)) for k in kept), "only what was returned lives"
    assert model.head_outputs == (out if isinstance(out, dict) else dict.fromkeys(model.head_outputs, out))


# ---- compilers ----


@every_case
def test_compile(subject):
    model, x, wanted = subject
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    assert_outputs_close(compiled(x), wanted)
    other = {k: v.flip(0) for k, v in x.items()} if isinstance(x, dict) else x.flip(0)
    assert_outputs_close(compiled(other), model(other))


@a_few
def test_compiled_gradients(subject):
    model, x, _ = subject
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    assert_outputs_close(gradients(model, compiled(x)), gradients(model, model(x)), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not shutil.which("g++"), reason="inductor needs a C++ compiler")
@pytest.mark.parametrize(
    "subject", ["MLP", *(pytest.param(c, marks=pytest.mark.slow) for c in CASES if c != "MLP")], indirect=True
)
def test_compile_to_machine_code(subject):
    model, x, wanted = subject
    torch.compiler.reset()
    with torch.no_grad():
        assert_outputs_close(torch.compile(model, fullgraph=True)(x), wanted, rtol=1e-4, atol=1e-5)


@every_case
def test_export(subject):
    model, x, wanted = subject
    assert_outputs_close(torch.export.export(model, (x,), strict=False).module()(x), wanted)


@pytest.mark.skipif(OLD_EXPORT, reason="torch's strict export knew no hooks of the outermost module")
@pytest.mark.parametrize("subject", [CASES[0], *CASES[-2:]], indirect=True)
def test_export_of_the_traced_bytecode(subject):
    model, x, wanted = subject
    assert_outputs_close(torch.export.export(model, (x,), strict=True).module()(x), wanted)


@every_case
def test_trace(subject, inputs):
    model, x, wanted = subject
    traced = torch.jit.trace(model, (x,), strict=False, check_trace=False)
    assert_outputs_close(traced(x), wanted)
    other = inputs(model, seed=1)
    assert_outputs_close(traced(other), model(other))


# ---- copies and files ----


@every_case
def test_deepcopy(subject, everything, assert_same):
    model, x, wanted = subject
    loss_of(model(x)).backward()
    before = everything(model)
    twin = copy.deepcopy(model)
    assert_outputs_close(twin(x), wanted)
    assert twin.config == model.config
    with torch.no_grad():
        for p in twin.parameters():
            p.zero_()
    twin.clear_heads()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in twin.modules())
    assert_same(before, everything(model))
    assert_outputs_close(model(x), wanted)


@every_case
@pytest.mark.parametrize("way", ["pickle", "torch.save"])
def test_pickle(way, subject, shapes):
    model, x, wanted = subject
    loss_of(model(x)).backward()  # what the heads gave holds a graph, which no pickle takes
    if way == "pickle":
        twin = pickle.loads(pickle.dumps(model))
    else:
        buffer = io.BytesIO()
        torch.save(model, buffer)
        buffer.seek(0)
        twin = torch.load(buffer, weights_only=False)
    assert twin.head_outputs == {} and not twin.training
    assert_outputs_close(twin(x), wanted)
    assert twin.config == model.config and shapes(twin) == shapes(model)
    twin.attach_head(twin.block_names[0], "identity", unique_id="new")
    assert len(outputs(twin(x))) == len(outputs(wanted)) + bool(model.head_outputs)
    assert_outputs_close(model(x), wanted)


# ---- data parallelism ----


@every_case
def test_data_parallel(subject):
    """Without a GPU, DataParallel passes through."""
    model, x, wanted = subject
    parallel = nn.DataParallel(model)
    if not torch.cuda.is_available():
        assert_outputs_close(parallel(x), wanted)
    assert list(parallel.state_dict()) == [f"module.{key}" for key in model.state_dict()]


@every_case
def test_replicas(subject, inputs, monkeypatch):
    """What DataParallel makes of a model, all but the move to other devices: torch's own replicas, a thread each."""
    model, _, _ = subject
    monkeypatch.setattr(
        sys.modules["torch.nn.parallel.replicate"],
        "_broadcast_coalesced_reshape",
        lambda tensors, devices, detach=False: [[t.view_as(t) for t in tensors] for _ in devices],
    )
    replicas = nn.parallel.replicate(model, [0, 1])
    xs, got = [inputs(model, seed=i) for i in (0, 1)], [None, None]
    start = threading.Barrier(2)

    def work(i):
        start.wait()
        got[i] = replicas[i](xs[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in (0, 1)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    wanted = [model(x) for x in xs]
    for a, b in zip(got, wanted, strict=True):
        assert_outputs_close(a, b)
    together = [torch.cat(pair) for pair in zip(*(outputs(g) for g in got), strict=True)]
    expected = [torch.cat(pair) for pair in zip(*(outputs(w) for w in wanted), strict=True)]
    assert_outputs_close(
        gradients(model, dict(enumerate(together))), gradients(model, dict(enumerate(expected))), rtol=1e-4, atol=1e-6
    )


def test_distributed_data_parallel(build, inputs, tmp_path):
    """Two processes, half a batch each, all families: the gradients of one process on the whole batch."""
    models = {case: build(case) for case in CASES}
    batches = {case: inputs(model, batch=4) for case, model in models.items()}
    work = {case: (model.config, model.get_classy_state(), batches[case]) for case, model in models.items()}
    torch.save(work, tmp_path / "work.pt")
    command = [sys.executable, __file__, str(tmp_path)]
    running = [subprocess.Popen([*command, str(rank)], stderr=subprocess.PIPE, text=True) for rank in (0, 1)]
    for process in running:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    assert [list(rank) for rank in ranks] == [list(CASES)] * 2
    for case, model in models.items():
        eval_grads, train_grads = zip(*(rank[case] for rank in ranks), strict=True)
        wanted = gradients(model, model(batches[case]))
        for got in eval_grads:
            assert_outputs_close(got, wanted, rtol=1e-4, atol=1e-6)
        # in training each half has BatchNorm statistics, and random numbers, of its own: the mean of both halves
        halves = [half_gradients(copy.deepcopy(model), batches[case], rank) for rank in (0, 1)]
        wanted = {key: (halves[0][key] + halves[1][key]) / 2 for key in halves[0]}
        for got in train_grads:
            assert_outputs_close(got, wanted, rtol=1e-4, atol=1e-5)
        heads = [key for key in wanted if key.startswith("_heads.")]
        assert len(heads) == 2 * len(model.head_outputs) and all(wanted[key].any() for key in heads)


def half(x, rank):
    return {k: half(v, rank) for k, v in x.items()} if isinstance(x, dict) else x[2 * rank : 2 * rank + 2]


def half_gradients(model, x, rank):
    """{parameter: gradient} of one training step on this rank's half of the batch."""
    model.train()
    model.zero_grad()
    torch.manual_seed(rank)
    loss_of(model(half(x, rank))).backward()
    return {name.removeprefix("module."): p.grad.clone() for name, p in model.named_parameters()}


def one_of_two_processes(folder, rank):
    """Gradients of every model in eval and in train mode, computed together with the other process."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    results = {}
    for case, (config, state, x) in torch.load(f"{folder}/work.pt").items():
        model = ck.build_model(config)  # other random weights in each process, until
        if rank == 0:
            model.set_classy_state(state)  # the first one's are sent to the other
        parallel = nn.parallel.DistributedDataParallel(model.eval())
        loss_of(parallel(half(x, rank))).backward()
        grads = {name: p.grad.clone() for name, p in model.named_parameters()}
        results[case] = grads, half_gradients(parallel, x, rank)
    torch.save(results, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    one_of_two_processes(sys.argv[1], int(sys.argv[2]))
