"""classykit.measuring.timing: repeats of one pass, and rounds of several."""

import statistics
import time

import torch
from measured import CPU

from classykit.measuring import timing


class TestTiming:
    def test_one_is_repeated_until_it_is_stable_and_several_take_turns(self):
        order = []
        runs = {n: lambda n=n, t=t: (order.append(n), time.sleep(t)) for n, t in (("a", 0.001), ("b", 0.003))}
        alone = timing.interleave({"a": runs["a"]}, CPU, 0.02, 0.001)["a"]
        assert len(alone) >= 4 and 0.001 <= statistics.median(alone) < 0.02
        order.clear()
        times = timing.interleave(runs, CPU, 0.03, 0.003)
        assert len(times["a"]) == len(times["b"]) >= 5
        assert statistics.median(times["b"]) > statistics.median(times["a"])
        firsts = [n for i, n in enumerate(order) if i % (len(order) // len(times["a"])) == 0]
        assert set(firsts) == {"a", "b"}  # neither is always the first of its round

    def test_threads_stay_as_they_are(self):
        seen = []
        timing.interleave({"a": lambda: seen.append(torch.get_num_threads())}, CPU, 0.001, 0.001)
        assert set(seen) == {torch.get_num_threads()}
