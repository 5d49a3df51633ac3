"""classykit.load_pretrained without a source: trained weights from packages, checked before they are used."""

import pytest
import torch

import classykit as ck
from classykit.errors import UnknownNameError, WeightsError

CATS = {"Egyptian cat", "tiger cat", "tabby"}


#: recorded from this code: a guard against change, no proof that the figures are right
TOP5 = {
    "coffee": [("espresso", 0.94), ("cup", 0.02), ("consomme", 0.01), ("coffee mug", 0.00), ("soup bowl", 0.00)],
    "chelsea": [("Egyptian cat", 0.39), ("tiger cat", 0.33), ("tabby", 0.16), ("lynx", 0.03), ("plastic bag", 0.00)],
    "camera": [("tripod", 0.95), ("binoculars", 0.01), ("harmonica", 0.01), ("microphone", 0.01),
               ("reflex camera", 0.00)],
    "china": [("palace", 0.30), ("bell cote", 0.22), ("monastery", 0.10), ("castle", 0.05), ("lakeside", 0.05)],
    "grace_hopper": [("military uniform", 0.40), ("mortarboard", 0.07), ("suit", 0.06), ("Windsor tie", 0.05),
                     ("vestment", 0.03)],
}  # fmt: skip


def top(model, picture, k=5):
    with torch.no_grad():
        best = model(ck.preprocess(picture, model)).softmax(-1)[0].topk(k)
    return [(model.labels[i], p) for i, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)]


@pytest.mark.parametrize("picture", TOP5)
def test_what_it_says(picture, lite0):
    got = top(lite0, picture)
    wanted = TOP5[picture]
    assert [label for label, _ in got][:3] == [label for label, _ in wanted][:3]
    assert {label for label, _ in got} == {label for label, _ in wanted}
    assert [p for _, p in got] == pytest.approx([p for _, p in wanted], abs=0.015)


def test_a_cat_is_a_cat(lite0):
    got = dict(top(lite0, "cat"))
    assert max(got, key=got.get) in CATS and sum(got.get(c, 0) for c in CATS) > 0.8


def test_its_recipe_matters(lite0, monkeypatch):
    # ImageNet's mean and std would still give plausible labels: only the figures show the difference
    right = dict(top(lite0, "coffee"))["espresso"]
    monkeypatch.setattr(lite0, "preprocessing", None)
    assert abs(dict(top(lite0, "coffee")).get("espresso", 0) - right) > 0.02


def test_loading_leaves_the_random_state_alone(lite0):
    state = torch.get_rng_state()
    again = ck.load_pretrained("efficientnet_lite0")
    assert torch.equal(state, torch.get_rng_state())
    assert again.fc.weight.data_ptr() != lite0.fc.weight.data_ptr()
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), lite0.state_dict().values(), strict=True))


def test_lite2():
    model = ck.load_pretrained("efficientnet_lite2")
    assert model.input_shape == (3, 260, 260) and ck.preprocess("coffee", model).shape == (1, 3, 260, 260)
    label, p = top(model, "coffee")[0]
    assert label == "espresso" and p == pytest.approx(0.90, abs=0.02)


@pytest.mark.parametrize(
    "name, source, kind, words",
    [
        ("efficientnet_lite9", None, UnknownNameError, "efficientnet_lite"),
        ("resnet50", None, WeightsError, "efficientnet_lite0.*source=the_model"),
        ("efficientnet_lite1", None, WeightsError, "No trained weights of efficientnet_lite1"),
        ("resnet50", "imagenet", WeightsError, "'imagenet'"),
    ],
)
def test_what_cannot_be_had(name, source, kind, words):
    with pytest.raises(kind, match=words):
        ck.load_pretrained(name, source=source)


@pytest.mark.parametrize(
    "name, image, first, norm",
    [
        # the original code of these packages gave these logits for the same input, equal to ours to the last bit
        ("efficientnet_lite0", "chelsea", [-0.847158, 1.240524, -2.549104, -0.975147, -0.589434], 39.039780),
        ("efficientnet_lite0", "coffee", [0.285057, 0.224852, -0.847311, 0.604722, -0.511874], 34.516521),
        ("efficientnet_lite2", "chelsea", [-1.525298, 0.770928, -0.828743, 0.007305, 0.942686], 28.361744),
        ("efficientnet_lite2", "coffee", [0.749329, 0.256986, -0.332043, 0.258053, -0.457513], 25.558644),
    ],
)
def test_the_logits_are_the_originals(name, image, first, norm):
    model = ck.load_pretrained(name)
    with torch.inference_mode():
        logits = model(ck.preprocess(image, model))[0]
    # other processors add up in another order
    torch.testing.assert_close(logits[:5], torch.tensor(first), atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(logits.norm(), torch.tensor(norm), atol=1e-3, rtol=1e-4)
