"""classykit.weights.published: torchvision's own table, and how it prepares pictures."""

import json

import pytest
import torch
from PIL import Image
from sources import models

import classykit as ck
from classykit.clips import KINETICS_MEAN
from classykit.errors import ConfigError
from classykit.images import Preprocessing
from classykit.weights import hub
from classykit.weights import published as table
from classykit.weights.families.regnet import OTHER_WIDTHS


def enum_of(name):
    return models.get_model_weights(name.replace(".", "_"))


def test_the_table_is_torchvisions():
    compared = set()
    for name in ck.list_models():
        entries = [e for e in hub.published_files() if e.name == name]
        if name.replace(".", "_") not in models.list_models():
            assert not entries
            continue
        enum = enum_of(name)
        if name in OTHER_WIDTHS:
            assert not entries and enum.DEFAULT.url == f"{table.FOLDER}{OTHER_WIDTHS[name]}.pth"
            continue
        assert {e.weights: e.url for e in entries} == {w.name: w.url for w in enum}
        assert entries[0].weights == enum.DEFAULT.name
        for entry in entries:
            theirs = enum[entry.weights].transforms()
            resize, interpolation = theirs.resize_size, theirs.interpolation.value
            resize = tuple(resize) if len(resize) == 2 else resize[0]
            ours = entry.preprocessing
            assert (ours.size, ours.resize, ours.interpolation) == (theirs.crop_size[0], resize, interpolation)
            assert (list(ours.mean), list(ours.std)) == (theirs.mean, theirs.std)
            compared.add(entry)
    assert compared == set(hub.published_files()) and {"resnet50", "vit_h_14", "r3d_18"} <= {e.name for e in compared}


@pytest.mark.parametrize("name", ["resnet50", "efficientnet_b3", "vit_l_16"])
@pytest.mark.parametrize("picture", ["cat", "coffee"])
def test_pictures_are_prepared_as_torchvision_does(name, picture):
    (entry, *_) = (e for e in hub.published_files() if e.name == name)
    image = ck.load_image(picture)
    theirs = enum_of(name)[entry.weights].transforms()(image)
    torch.testing.assert_close(entry.preprocessing(image)[0], theirs, atol=1e-6, rtol=0)


def test_frames_of_clips_are_resized_out_of_proportion():
    (entry,) = (e for e in hub.published_files() if e.name == "r3d_18")
    recipe = entry.preprocessing
    assert recipe.resize == (128, 171) and recipe.mean == KINETICS_MEAN
    image = ck.load_image("coffee")
    left, top = round((171 - 112) / 2), (128 - 112) // 2
    wanted = image.resize((171, 128), Image.Resampling.BILINEAR).crop((left, top, left + 112, top + 112))
    assert recipe.to_display(image).tobytes() == wanted.tobytes()


def test_a_recipe_survives_json_and_makes_sense():
    for entry in hub.published_files():
        recipe = entry.preprocessing
        assert Preprocessing.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    for resize in (200, (256, 200), 0, "256", (256,), 256.0):
        with pytest.raises(ConfigError, match=r"resize is .*: size = 224 is cut out of it"):
            Preprocessing(size=224, resize=resize)
