"""classykit.inspecting.layers: torchinfo's tree of layers."""

import classykit as ck


def test_layers(resnet50):
    tree = resnet50.layers()
    assert tree.total_params == resnet50.params and "Conv2d" in str(tree)
    clip = ck.inspect({"name": "r3d_18", "input_key": "video"})
    assert clip.layers().total_params == clip.params
