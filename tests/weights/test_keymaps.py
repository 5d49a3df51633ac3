"""classykit.weights.keymaps: one rule a key."""

import copy

import pytest
import torch

from classykit.errors import WeightsError
from classykit.weights import keymaps


class TestRename:
    def test_every_key_has_one_rule(self):
        state = {"a.x": torch.zeros(1), "b.x": torch.ones(1)}
        assert list(keymaps.rename(state, [(r"a\.", "c."), (r"b\.", "d.")], "it")) == ["c.x", "d.x"]

    def test_unknown_and_clashing_keys(self):
        state = {"a.x": 1, "b.x": 2, "c": 3}
        with pytest.raises(WeightsError, match=r"it has keys .*'b.x', 'c'"):
            keymaps.rename(copy.copy(state), [(r"a\.", "z.")], "it")
        with pytest.raises(WeightsError, match=r"Two keys of it map to 'z.x'"):
            keymaps.rename(state, [(r"[ab]\.", "z.")], "it")
