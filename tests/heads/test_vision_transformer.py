"""classykit.heads.vision_transformer: ClassyVision's head of vectors."""

import pytest

HEAD = {"name": "vision_transformer_head", "unique_id": "h", "in_plane": 6, "num_classes": 5}
CASES = {
    "vision_transformer_head": HEAD,
    "vision_transformer_head hidden_dim": {**HEAD, "hidden_dim": 7},
    "vision_transformer_head l2": {**HEAD, "normalize_inputs": "l2", "hidden_dim": 7},
    "vision_transformer_head without classes": {**HEAD, "num_classes": None},
}


@pytest.mark.parametrize("label", CASES)
@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
def test_parity(label, train, assert_same_head, inputs):
    assert_same_head(CASES[label], inputs["a vector"], train, label)


@pytest.mark.parametrize("label", CASES)
def test_initial_weights(label, assert_head_starts_the_same):
    assert_head_starts_the_same(CASES[label])


@pytest.mark.parametrize("label", CASES)
def test_the_config_rebuilds_the_head(label, assert_rebuilt):
    assert_rebuilt(CASES[label])
