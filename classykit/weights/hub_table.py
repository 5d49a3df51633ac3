"""Which trained weights torchvision publishes for our models: files, whose names end with their sha256, and how a
picture is prepared for them."""

from __future__ import annotations

from dataclasses import dataclass

from classykit.clips import KINETICS_MEAN, KINETICS_STD
from classykit.images import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

FOLDER = "https://download.pytorch.org/models/"


@dataclass(frozen=True)
class TorchvisionWeights:
    """One file: what torchvision calls the weights, and the last step of its evaluation, in pixels."""

    name: str
    weights: str
    stem: str
    resize: int | tuple[int, int] = 256
    crop: int = 224
    interpolation: str = "bilinear"

    @property
    def file(self) -> str:
        """The file's name."""
        return self.stem + ".pth"

    @property
    def url(self) -> str:
        """Where it is published."""
        return FOLDER + self.file

    @property
    def sha256(self) -> str:
        """The first eight hexadecimal digits of its sha256."""
        return self.stem.rsplit("-", 1)[1]

    @property
    def preprocessing(self) -> Preprocessing:
        """How torchvision prepares a picture, or a frame of a clip, for these weights."""
        video = self.weights.startswith("KINETICS")
        mean, std = (KINETICS_MEAN, KINETICS_STD) if video else (IMAGENET_MEAN, IMAGENET_STD)
        return Preprocessing(self.crop, mean, std, interpolation=self.interpolation, resize=self.resize)


#: of each model, torchvision's own default comes first
TORCHVISION = [
    TorchvisionWeights("densenet121", "IMAGENET1K_V1", "densenet121-a639ec97"),
    TorchvisionWeights("densenet161", "IMAGENET1K_V1", "densenet161-8d451a50"),
    TorchvisionWeights("densenet169", "IMAGENET1K_V1", "densenet169-b2777c0a"),
    TorchvisionWeights("densenet201", "IMAGENET1K_V1", "densenet201-c1103571"),
    TorchvisionWeights("efficientnet_b0", "IMAGENET1K_V1", "efficientnet_b0_rwightman-7f5810bc", 256, 224, "bicubic"),
    TorchvisionWeights("efficientnet_b1", "IMAGENET1K_V2", "efficientnet_b1-c27df63c", 255, 240),
    TorchvisionWeights("efficientnet_b1", "IMAGENET1K_V1", "efficientnet_b1_rwightman-bac287d4", 256, 240, "bicubic"),
    TorchvisionWeights("efficientnet_b2", "IMAGENET1K_V1", "efficientnet_b2_rwightman-c35c1473", 288, 288, "bicubic"),
    TorchvisionWeights("efficientnet_b3", "IMAGENET1K_V1", "efficientnet_b3_rwightman-b3899882", 320, 300, "bicubic"),
    TorchvisionWeights("efficientnet_b4", "IMAGENET1K_V1", "efficientnet_b4_rwightman-23ab8bcd", 384, 380, "bicubic"),
    TorchvisionWeights("efficientnet_b5", "IMAGENET1K_V1", "efficientnet_b5_lukemelas-1a07897c", 456, 456, "bicubic"),
    TorchvisionWeights("efficientnet_b6", "IMAGENET1K_V1", "efficientnet_b6_lukemelas-24a108a5", 528, 528, "bicubic"),
    TorchvisionWeights("efficientnet_b7", "IMAGENET1K_V1", "efficientnet_b7_lukemelas-c5b4e57e", 600, 600, "bicubic"),
    TorchvisionWeights("r3d_18", "KINETICS400_V1", "r3d_18-b3b3357e", (128, 171), 112),
    TorchvisionWeights("regnet_x_800mf", "IMAGENET1K_V2", "regnet_x_800mf-94a99ebd", 232, 224),
    TorchvisionWeights("regnet_x_800mf", "IMAGENET1K_V1", "regnet_x_800mf-ad17e45c"),
    TorchvisionWeights("regnet_x_1.6gf", "IMAGENET1K_V2", "regnet_x_1_6gf-a12f2b72", 232, 224),
    TorchvisionWeights("regnet_x_1.6gf", "IMAGENET1K_V1", "regnet_x_1_6gf-e3633e7f"),
    TorchvisionWeights("regnet_x_3.2gf", "IMAGENET1K_V2", "regnet_x_3_2gf-7071aa85", 232, 224),
    TorchvisionWeights("regnet_x_3.2gf", "IMAGENET1K_V1", "regnet_x_3_2gf-f342aeae"),
    TorchvisionWeights("regnet_x_8gf", "IMAGENET1K_V2", "regnet_x_8gf-2b70d774", 232, 224),
    TorchvisionWeights("regnet_x_8gf", "IMAGENET1K_V1", "regnet_x_8gf-03ceed89"),
    TorchvisionWeights("regnet_x_16gf", "IMAGENET1K_V2", "regnet_x_16gf-ba3796d7", 232, 224),
    TorchvisionWeights("regnet_x_16gf", "IMAGENET1K_V1", "regnet_x_16gf-2007eb11"),
    TorchvisionWeights("regnet_x_32gf", "IMAGENET1K_V2", "regnet_x_32gf-6eb8fdc6", 232, 224),
    TorchvisionWeights("regnet_x_32gf", "IMAGENET1K_V1", "regnet_x_32gf-9d47f8d0"),
    TorchvisionWeights("regnet_y_400mf", "IMAGENET1K_V2", "regnet_y_400mf-e6988f5f", 232, 224),
    TorchvisionWeights("regnet_y_400mf", "IMAGENET1K_V1", "regnet_y_400mf-c65dace8"),
    TorchvisionWeights("regnet_y_1.6gf", "IMAGENET1K_V2", "regnet_y_1_6gf-0d7bc02a", 232, 224),
    TorchvisionWeights("regnet_y_1.6gf", "IMAGENET1K_V1", "regnet_y_1_6gf-b11a554e"),
    TorchvisionWeights("regnet_y_3.2gf", "IMAGENET1K_V2", "regnet_y_3_2gf-9180c971", 232, 224),
    TorchvisionWeights("regnet_y_3.2gf", "IMAGENET1K_V1", "regnet_y_3_2gf-b5a9779c"),
    TorchvisionWeights("regnet_y_16gf", "IMAGENET1K_V2", "regnet_y_16gf-3e4a00f9", 232, 224),
    TorchvisionWeights("regnet_y_16gf", "IMAGENET1K_V1", "regnet_y_16gf-9e6ed7dd"),
    TorchvisionWeights("regnet_y_16gf", "IMAGENET1K_SWAG_E2E_V1", "regnet_y_16gf_swag-43afe44d", 384, 384, "bicubic"),
    TorchvisionWeights(
        "regnet_y_16gf",
        "IMAGENET1K_SWAG_LINEAR_V1",
        "regnet_y_16gf_lc_swag-f3ec0043",
        224,
        224,
        "bicubic",
    ),
    TorchvisionWeights("regnet_y_32gf", "IMAGENET1K_V2", "regnet_y_32gf-8db6d4b5", 232, 224),
    TorchvisionWeights("regnet_y_32gf", "IMAGENET1K_V1", "regnet_y_32gf-4dee3f7a"),
    TorchvisionWeights("regnet_y_32gf", "IMAGENET1K_SWAG_E2E_V1", "regnet_y_32gf_swag-04fdfa75", 384, 384, "bicubic"),
    TorchvisionWeights(
        "regnet_y_32gf",
        "IMAGENET1K_SWAG_LINEAR_V1",
        "regnet_y_32gf_lc_swag-e1583746",
        224,
        224,
        "bicubic",
    ),
    TorchvisionWeights("regnet_y_128gf", "IMAGENET1K_SWAG_E2E_V1", "regnet_y_128gf_swag-c8ce3e52", 384, 384, "bicubic"),
    TorchvisionWeights(
        "regnet_y_128gf",
        "IMAGENET1K_SWAG_LINEAR_V1",
        "regnet_y_128gf_lc_swag-cbe8ce12",
        224,
        224,
        "bicubic",
    ),
    TorchvisionWeights("resnet18", "IMAGENET1K_V1", "resnet18-f37072fd"),
    TorchvisionWeights("resnet34", "IMAGENET1K_V1", "resnet34-b627a593"),
    TorchvisionWeights("resnet50", "IMAGENET1K_V2", "resnet50-11ad3fa6", 232, 224),
    TorchvisionWeights("resnet50", "IMAGENET1K_V1", "resnet50-0676ba61"),
    TorchvisionWeights("resnet101", "IMAGENET1K_V2", "resnet101-cd907fc2", 232, 224),
    TorchvisionWeights("resnet101", "IMAGENET1K_V1", "resnet101-63fe2227"),
    TorchvisionWeights("resnet152", "IMAGENET1K_V2", "resnet152-f82ba261", 232, 224),
    TorchvisionWeights("resnet152", "IMAGENET1K_V1", "resnet152-394f9c45"),
    TorchvisionWeights("resnext50_32x4d", "IMAGENET1K_V2", "resnext50_32x4d-1a0047aa", 232, 224),
    TorchvisionWeights("resnext50_32x4d", "IMAGENET1K_V1", "resnext50_32x4d-7cdf4587"),
    TorchvisionWeights("vit_b_16", "IMAGENET1K_V1", "vit_b_16-c867db91"),
    TorchvisionWeights("vit_b_16", "IMAGENET1K_SWAG_E2E_V1", "vit_b_16_swag-9ac1b537", 384, 384, "bicubic"),
    TorchvisionWeights("vit_b_16", "IMAGENET1K_SWAG_LINEAR_V1", "vit_b_16_lc_swag-4e70ced5", 224, 224, "bicubic"),
    TorchvisionWeights("vit_b_32", "IMAGENET1K_V1", "vit_b_32-d86f8d99"),
    TorchvisionWeights("vit_h_14", "IMAGENET1K_SWAG_E2E_V1", "vit_h_14_swag-80465313", 518, 518, "bicubic"),
    TorchvisionWeights("vit_h_14", "IMAGENET1K_SWAG_LINEAR_V1", "vit_h_14_lc_swag-c1eb923e", 224, 224, "bicubic"),
    TorchvisionWeights("vit_l_16", "IMAGENET1K_V1", "vit_l_16-852ce7e3", 242, 224),
    TorchvisionWeights("vit_l_16", "IMAGENET1K_SWAG_E2E_V1", "vit_l_16_swag-4f3808c9", 512, 512, "bicubic"),
    TorchvisionWeights("vit_l_16", "IMAGENET1K_SWAG_LINEAR_V1", "vit_l_16_lc_swag-4d563306", 224, 224, "bicubic"),
    TorchvisionWeights("vit_l_32", "IMAGENET1K_V1", "vit_l_32-c7638314"),
]

#: what torchvision has under these names is another model
OTHER_WIDTHS = {
    "regnet_x_400mf": "regnet_x_400mf-62229a5f",
    "regnet_y_800mf": "regnet_y_800mf-58fc7688",
    "regnet_y_8gf": "regnet_y_8gf-dc2b1b54",
}
