"""classykit.weights.visible: sizes that a state in our keys shows."""

import pytest
import torch

import classykit as ck


class TestOurKeys:
    @pytest.mark.parametrize(
        "name, keys",
        [
            ("resnet18", {}),
            ("resnet18", {"use_se": True}),
            ("efficientnet_b0", {"num_classes": 7}),
            ("regnet_y_400mf", {}),
        ],
    )
    def test_a_bare_state(self, name, keys, tmp_path, input_for):
        own = ck.build_model(name, **keys).eval()
        torch.save(own.state_dict(), tmp_path / "w.pth")
        state = torch.get_rng_state()
        model = ck.load_pretrained(name, source=tmp_path / "w.pth")
        assert torch.equal(state, torch.get_rng_state())
        x = input_for(own)
        with torch.no_grad():
            assert torch.equal(model(x), own(x))
