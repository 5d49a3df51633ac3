"""classykit.widgets.worker: one thing after the other, the newest of a kind, and it can be told to stop."""

import _imp
import asyncio
import importlib.util
import signal
import subprocess
import sys
import threading
import time
import weakref

import pytest

from classykit.widgets import worker as module
from classykit.widgets.worker import Cancelled, Worker


@pytest.fixture(autouse=True)
def _alone():
    """Here a loop counts."""


@pytest.fixture
def worker():
    return Worker()


def serve(act):
    """Run in an event loop, as the messages of a page are."""

    async def run():
        return await asyncio.to_thread(lambda: None) or act()

    return asyncio.run(run())


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)
    return condition()


def test_without_a_loop_it_waits_until_all_is_done(worker):
    done = []
    worker.do("slow", lambda: (time.sleep(0.3), done.append(threading.current_thread().name)))
    assert done == ["classykit app"] and worker.current is None


def test_with_a_loop_what_is_quick_is_done_at_once_and_what_is_slow_later(worker):
    gate, done = threading.Event(), []

    def ask():
        worker.do("quick", lambda: done.append("quick"))
        at_once = list(done)
        worker.do("slow", lambda: (gate.wait(20), done.append("slow")))
        return at_once, list(done), worker.current

    assert serve(ask) == (["quick"], ["quick"], "slow")
    gate.set()
    assert until(lambda: done == ["quick", "slow"] and worker.current is None)


def test_of_one_kind_only_the_newest_is_done(worker):
    gate, done = threading.Event(), []

    def ask():
        worker.do("run", lambda: gate.wait(20))
        for n in range(5):
            worker.do("select", lambda n=n: done.append(n))
        worker.do("key", lambda: done.append("key"))

    serve(ask)
    assert done == []
    gate.set()
    assert until(lambda: worker.current is None and done) and done == [4, "key"]


def test_what_is_under_way_can_be_stopped_at_any_place(worker):
    seen = []

    def act():
        try:
            while True:
                sum(range(100))
        except Cancelled:
            seen.append("stopped")
            raise

    serve(lambda: worker.do("run", act))
    began = time.monotonic()
    worker.cancel()
    assert until(lambda: worker.current is None) and seen == ["stopped"]
    assert time.monotonic() - began < 1


def test_stopping_reaches_nothing_that_comes_after(worker):
    """The word may come when the work has just ended: what is next must not hear it."""
    finished, stopped = [], []

    def act(n):
        try:
            for _ in range(n % 7):
                time.sleep(0.0002)
        except Cancelled:
            stopped.append(n)
            raise
        finished.append(n)

    def ask():
        for n in range(200):
            thread = threading.Thread(target=worker.cancel)
            worker.do(str(n), lambda n=n: act(n))
            thread.start()
            worker.do(f"after {n}", lambda n=n: finished.append(("after", n)))
            thread.join()

    serve(ask)
    assert until(lambda: worker.current is None)
    # each either ended or was stopped, and every thread that was told to stop still lives to do the next
    after = [n for n in finished if isinstance(n, tuple)]
    assert len(after) >= 100 and len(set(after)) == len(after)
    worker.do("last", lambda: finished.append("last"))
    assert finished[-1] == "last"


def test_nothing_under_way_is_nothing_to_stop(worker):
    worker.cancel()
    done = []
    worker.do("a", lambda: done.append(1))
    worker.cancel()
    worker.do("b", lambda: done.append(2))
    assert done == [1, 2]


def test_the_thread_ends_when_it_has_nothing_to_do(worker, monkeypatch):
    monkeypatch.setattr(module, "IDLE", 0.05)
    done = []
    worker.do("a", lambda: done.append(1))
    assert until(lambda: worker._thread is None)
    worker.do("b", lambda: done.append(2))
    assert done == [1, 2]


def test_what_is_asked_for_within_is_done_within(worker):
    order = []
    worker.do(
        "outer",
        lambda: (order.append("begins"), worker.do("inner", lambda: order.append("inner")), order.append("ends")),
    )
    assert order == ["begins", "inner", "ends"]


def test_a_thread_that_waits_holds_nothing(worker):
    class App:
        def act(self):
            pass

    app = App()
    there = weakref.ref(app)
    worker.do("a", app.act)
    del app
    assert there() is None


def test_an_interrupt_of_the_kernel_stops_what_it_waits_for(worker):
    stopped = threading.Event()

    def act():
        until(lambda: worker._change._waiters)  # it waits
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        try:
            while True:
                sum(range(100))
        except Cancelled:
            stopped.set()
            raise

    with pytest.raises(KeyboardInterrupt):
        worker.do("run", act)
    assert stopped.wait(20)


def test_an_interrupted_import_of_the_main_thread_closes_none_of_the_worker_s(worker):
    _imp.acquire_lock()  # as an interrupt leaves it
    found = []
    serve(lambda: worker.do("run", lambda: found.append(importlib.util.find_spec("nowhere_to_be_found"))))
    assert until(lambda: found == [None])


def test_python_ends_well_while_something_is_under_way():
    words = """
import asyncio, torch
from classykit.widgets.worker import Worker
worker, x = Worker(), torch.ones(600, 600)
def act():
    while True:
        x @ x
async def main():
    worker.do("run", act)
asyncio.run(main())
print(worker.current)
"""
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "run", "")


def test_stopping_leaves_no_import_lock_closed(worker, monkeypatch):
    monkeypatch.setattr(module, "SOON", 0.01)

    def act():
        while True:
            importlib.util.find_spec("nowhere_to_be_found")
            sum(range(20_000))

    def ask():
        for n in range(100):
            worker.do(str(n), act)
            worker.cancel()
            if not until(lambda: worker.current is None):
                return n
        return None

    assert serve(ask) is None
    found = threading.Thread(target=importlib.util.find_spec, args=["nowhere_to_be_found"], daemon=True)
    found.start()
    found.join(20)
    assert not found.is_alive()
