"""Every model config of ClassyVision's repository builds, and has the reference's state keys."""

import json
import warnings
from importlib.resources import files

import pytest

import classykit as ck

pytest.importorskip("classy_vision")

#: those of its examples, which are not in its package: (patch_size, hidden_dim, mlp_dim, num_heads, num_layers)
EXAMPLES = {
    "vit_b16": (16, 768, 3072, 12, 12),
    "vit_b32": (32, 768, 3072, 12, 12),
    "vit_l16": (16, 1024, 4096, 16, 24),
    "vit_l32": (32, 1024, 4096, 16, 24),
}


def packaged():
    """{file: model config} of the package."""
    found = {}
    for folder in files("classy_vision.configs").iterdir():
        for path in [folder] if folder.is_file() else folder.iterdir():
            if path.name.endswith(".json"):
                config = json.loads(path.read_text())
                if "model" in config:
                    found[f"{folder.name}/{path.name}"] = config["model"]
    return found


def example(patch_size, hidden_dim, mlp_dim, num_heads, num_layers, image_size):
    head = {
        "name": "vision_transformer_head", "unique_id": "default_head", "num_classes": 1000, "in_plane": hidden_dim,
        "fork_block": "trunk_output", **({"hidden_dim": hidden_dim} if image_size == 224 else {}),
    }  # fmt: skip
    return {
        "name": "vision_transformer", "image_size": image_size, "patch_size": patch_size, "hidden_dim": hidden_dim,
        "mlp_dim": mlp_dim, "num_heads": num_heads, "num_layers": num_layers, "attention_dropout_rate": 0,
        "dropout_rate": 0.1, "heads": [head],
    }  # fmt: skip


CONFIGS = packaged() | {
    f"{name}_{size}": example(*sizes, size) for name, sizes in EXAMPLES.items() for size in (224, 384)
}


def test_they_are_all_there():
    assert len(CONFIGS) >= 28


@pytest.mark.parametrize("name", CONFIGS)
def test_it_builds_with_the_references_keys(name, reference, shapes):
    config = CONFIGS[name]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = ck.build_model(config, device="meta")
    ignored = "num_classes" in config and "num_classes" not in type(model).Config.model_fields
    assert ignored == any("num_classes" in str(w.message) for w in said)
    assert not (ignored and "num_classes" in model.config)
    assert ck.build_model(model.config, device="meta").config == model.config
    theirs = reference({k: v for k, v in config.items() if k != "heads"}, device="meta")
    assert [(k, tuple(v.shape)) for k, v in model.trunk_state().items()] == shapes(theirs)
    assert list(model.get_heads()) == [head["fork_block"] for head in config.get("heads", [])]
