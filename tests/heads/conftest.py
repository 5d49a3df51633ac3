"""What heads are given, and whether a config says all of one."""

import pytest
import torch

from classykit.heads import build_head


@pytest.fixture(scope="session")
def inputs():
    """{kind of features: two of them, of 6 channels}"""
    generator = torch.Generator().manual_seed(0)
    shapes = {"a 2-D map": (6, 5, 4), "a 3-D map": (6, 3, 5, 4), "tokens": (9, 6), "a vector": (6,)}
    return {kind: torch.randn(2, *shape, generator=generator) for kind, shape in shapes.items()}


@pytest.fixture(scope="session")
def assert_rebuilt(shapes):
    """A head's config builds it again."""

    def check(config):
        head = build_head(config)
        again = build_head(head.config)
        assert again.config == head.config and shapes(again) == shapes(head) and str(again) == str(head)

    return check
