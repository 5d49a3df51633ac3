"""How long an app lives: in plain Python, in cells that are run again, and over a long afternoon in a real kernel."""

import gc
import weakref

import IPython
import pytest
from ipywidgets.widgets.widget import _instances
from jupyter_client.manager import start_new_kernel
from torch import nn

import classykit as ck
from classykit.errors import StateError
from classykit.widgets import lifetime

CONFIG = {"name": "resnet18", "num_blocks": [1, 1], "init_planes": 8}


class Shell:
    """The kernel, answering a front end that runs one cell after the other."""

    def __init__(self):
        self.runs, self.asked = 0, {"header": {}}

    def run(self, code, act, cell=None):
        self.runs += 1
        self.asked = {
            "header": {"msg_id": str(self.runs)}, "metadata": {"cellId": cell} if cell else {},
            "content": {"code": code},
        }  # fmt: skip
        return act()

    def get_parent(self):
        return self.asked


@pytest.fixture
def shell(monkeypatch):
    shell = Shell()
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    monkeypatch.setattr(lifetime, "_cells", {})
    return shell


def opened():
    app = ck.explore(CONFIG, image="cat")
    app.run()
    return app


def weights_of(app):
    return weakref.ref(next(app.model.parameters()))


class TestPlainPython:
    def test_an_app_goes_with_its_last_name(self):
        gc.collect()
        widgets = len(_instances)
        for _ in range(3):
            app = opened()
            weights, itself = weights_of(app), weakref.ref(app)
            assert len(_instances) > widgets
            del app
            gc.collect()
            assert weights() is None and itself() is None and len(_instances) == widgets

    def test_it_answers_for_as_long_as_somebody_holds_it(self):
        app = opened()
        gc.collect()
        message = {"content": {"data": {"method": "custom", "content": {"type": "select", "block": "block0-0"}}}}
        app.comm.handle_msg({**message, "buffers": []})
        assert app.selected_block == "block0-0"
        assert _instances[app.model_id].model_id == app.model_id


class TestCells:
    @pytest.mark.parametrize("cell", [None, "an id"])
    def test_run_again_a_cell_lets_the_weights_of_what_it_showed_go(self, shell, cell):
        out = [shell.run("ck.explore(CONFIG)", opened, cell)]  # as Out keeps what cells gave
        weights = weights_of(out[0])
        out.append(shell.run("ck.explore(CONFIG)", opened, cell))
        gc.collect()
        assert weights() is None and out[0].comm is None
        assert out[1].comm is not None and next(out[1].model.parameters()).device.type == "cpu"

    def test_before_the_new_ones_are_allocated(self, shell):
        weights = weights_of(shell.run("cell", opened))
        alive = []

        def again():
            app = ck.explore(CONFIG, image="cat")
            gc.collect()
            alive.append(weights())
            return app

        shell.run("cell", again)
        assert alive == [None]

    def test_apps_of_one_run_live_together_and_those_of_other_cells_stay(self, shell):
        first, second = shell.run("two", lambda: (opened(), opened()))
        third = shell.run("another", opened)
        assert all(app.comm is not None for app in (first, second, third))
        shell.run("two", lambda: None)
        assert first.comm is not None
        shell.run("two", opened)
        assert first.comm is None and second.comm is None and third.comm is not None

    def test_what_another_cell_shows_stays(self, shell):
        app = shell.run("app = ...", opened)
        shell.run("app", app._repr_mimebundle_)
        shell.run("app = ...", opened)
        assert app.comm is not None
        shell.run("app", app._repr_mimebundle_)
        assert app.comm is not None, "shown again, not closed by that"

    def test_code_that_no_cell_asked_for(self, shell):
        shell.asked = {"header": {"msg_id": "1"}, "content": {"data": {}}}  # a button's click
        first, second = opened(), opened()
        assert first.comm is not None and second.comm is not None

    def test_a_terminal(self, monkeypatch):
        class Terminal:
            class history_manager:
                input_hist_raw = ["", "ck.explore(CONFIG)"]

            execution_count = 1

        monkeypatch.setattr(IPython, "get_ipython", Terminal)
        monkeypatch.setattr(lifetime, "_cells", {})
        app = opened()
        Terminal.execution_count = 2
        opened()
        assert app.comm is None


class TestClosed:
    def test_what_it_describes_stays(self, shell):
        app = opened()
        app.attach_head("block1-0", "fully_connected", unique_id="cls", num_classes=3)
        before = app.config, app.to_code(), app.to_json(), str(app.inspection)
        app.close()
        assert (app.config, app.to_code(), app.to_json(), str(app.inspection)) == before
        assert "snapshot" in app._repr_mimebundle_()["text/html"]
        assert next(app.model.parameters()).is_meta
        assert app.run().output.shape == (1, 3), "what a config describes can be allocated again"

    def test_of_a_module_nothing_is_kept(self):
        module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU()))
        app = ck.explore(module, image="cat")
        app.run()
        code = app.to_code()
        app.close()
        weights = weakref.ref(module[0].weight)
        del module
        gc.collect()
        assert weights() is None and app.to_code() == code
        with pytest.raises(StateError, match="was closed, and let the weights of Sequential go"):
            app.run()


AFTERNOON = """
import gc, weakref, classykit as ck
alive = globals().get("alive", [])
app = ck.explore({"name": "resnet18", "init_planes": 32}, image="cat")
app.run()
alive.append(weakref.ref(next(app.model.parameters())))
app
"""
MEMORY = """
gc.collect()
from pathlib import Path
pages = int(Path("/proc/self/statm").read_text().split()[1])
print(sum(a() is not None for a in alive), pages * 4096)
"""


@pytest.fixture
def kernel():
    manager, client = start_new_kernel()
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def executed(client, code, cell):
    """What running a cell prints, as JupyterLab asks for it."""
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
    message = client.session.msg("execute_request", content, metadata={"cellId": cell})
    client.shell_channel.send(message)
    printed = ""
    while True:
        said = client.get_iopub_msg(timeout=60)
        if said["parent_header"].get("msg_id") != message["header"]["msg_id"]:
            continue
        assert said["msg_type"] != "error", said["content"]["traceback"]
        if said["msg_type"] == "stream":
            printed += said["content"]["text"]
        if said["msg_type"] == "status" and said["content"]["execution_state"] == "idle":
            return printed


def test_a_hundred_runs_of_a_cell_take_no_more_memory_than_ten(kernel):
    memory = []
    for run in range(100):
        executed(kernel, AFTERNOON, "the cell")
        if run in (19, 99):
            alive, used = map(int, executed(kernel, MEMORY, "memory").split())
            assert alive == 1
            memory.append(used)
    assert memory[1] - memory[0] < 40e6, "80 models of 11 MB would be 900"
