"""Teach the small vision transformer that ships as ``load_pretrained("vit_demo")``; about ten minutes on two cores.

    python .ci/teach_vit_demo.py [--seed 0] [--crops 6000] [--epochs 10]

It learns to give what EfficientNet-Lite0 gives on crops of the sample pictures: the probabilities of the classes that
occur there, of a whole crop from its class token, and of each place from its patch tokens (the teacher's are its class
activation maps). It has seen two dozen pictures: it shows what attention looks like, and claims nothing beyond that.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torchvision.transforms import RandomResizedCrop

import classykit as ck
from classykit.images import Preprocessing

FILE = Path(ck.__file__).parent / "weights" / "vit_demo.safetensors"
SIZE = 112  # px that the student sees; the teacher sees the same crops at twice that
CLASSES = 80
BATCH = 50
ABOUT = "a demonstration: taught (seed {seed}) to imitate efficientnet_lite0 on crops of 2 dozen pictures"


def crops(count: int) -> list[Image.Image]:
    """Crops of the sample pictures, every second one mirrored."""
    pictures = [ck.load_image(name) for name in ck.sample_images()]
    found = []
    for i in range(count):
        picture = pictures[i % len(pictures)]
        top, left, height, width = RandomResizedCrop.get_params(picture, scale=[0.15, 1.0], ratio=[0.8, 1.25])
        box = (left, top, left + width, top + height)
        crop = picture.resize((2 * SIZE, 2 * SIZE), Image.Resampling.BICUBIC, box=box)
        found.append(crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if i // len(pictures) % 2 else crop)
    return found


@torch.no_grad()
def answers(pictures: list[Image.Image], teacher: ck.ClassyModel, classes: torch.Tensor | None) -> torch.Tensor:
    """The teacher's logits at each place, (N, classes, 7, 7): their mean is its logits of the picture."""
    weight, bias = teacher.fc.weight, teacher.fc.bias
    if classes is not None:
        weight, bias = weight[classes], bias[classes]
    found = []
    for start in range(0, len(pictures), BATCH):
        x = torch.cat([teacher.preprocessing(picture) for picture in pictures[start : start + BATCH]])
        maps = ck.capture(teacher, x, "trunk_output")["trunk_output"]  # (N, C, 7, 7)
        found.append(torch.einsum("kc,nchw->nkhw", weight, maps) + bias[:, None, None])
    return torch.cat(found)


def learn(student: ck.ClassyModel, inputs: torch.Tensor, places: torch.Tensor, epochs: int) -> None:
    """Imitate the teacher, whole and place by place."""
    steps = epochs * (len(inputs) // BATCH)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.5e-3, total_steps=steps)
    start, step = time.perf_counter(), 0
    for epoch in range(epochs):
        losses, right = [], []
        for batch in torch.randperm(len(inputs))[: len(inputs) // BATCH * BATCH].split(BATCH):
            x, wanted = inputs[batch], places[batch]
            if step % 2:  # mirrored
                x, wanted = x.flip(-1), wanted.flip(-1)
            got = ck.capture(student, x, ["ln", "classes"], grad=True)
            tokens = student.get_heads()["trunk_output"][0].layers(got["ln"][:, 1:])  # (N, 14 × 14, classes)
            local = F.avg_pool2d(tokens.transpose(1, 2).unflatten(2, (14, 14)), 2)  # (N, classes, 7, 7)
            whole = wanted.mean((2, 3))
            loss = F.kl_div(got["classes"].log_softmax(1), whole.softmax(1), reduction="batchmean")
            loss = loss + F.kl_div(local.log_softmax(1), wanted.softmax(1), reduction="none").sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            step += 1
            losses.append(loss.item())
            right.append((got["classes"].argmax(1) == whole.argmax(1)).float().mean().item())
        print(f"epoch {epoch + 1}: loss {sum(losses) / len(losses):.3f}, agrees with its teacher on "
              f"{sum(right) / len(right):.0%}, {time.perf_counter() - start:.0f} s", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--crops", type=int, default=6000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    teacher = ck.load_pretrained("efficientnet_lite0")
    pictures = crops(args.crops)
    shares = answers(pictures[:1000], teacher, None).mean((2, 3)).softmax(1).mean(0)
    classes = shares.topk(CLASSES).indices.sort().values
    places = answers(pictures, teacher, classes)
    student = ck.build_model("vit_demo")
    student.attach_head("trunk_output", "vision_transformer_head", unique_id="classes", num_classes=CLASSES)
    student.preprocessing = Preprocessing(size=SIZE)
    student.labels = [teacher.labels[i] for i in classes]
    student.weights = ABOUT.format(seed=args.seed)
    learn(student, torch.cat([student.preprocessing(picture) for picture in pictures]), places, args.epochs)
    ck.save_checkpoint(student, args.out)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB, {sum(p.numel() for p in student.parameters())} numbers")


if __name__ == "__main__":
    main()
