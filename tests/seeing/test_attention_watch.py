"""classykit.seeing.attention_watch: the weights of torch's fused attention, in all its forms."""

import pytest
import torch
import torch.nn.functional as F

from classykit.seeing.attention_watch import AttentionWatch, weights_of_fused

Q = torch.randn(2, 4, 5, 8, generator=torch.Generator().manual_seed(0))
K, V = torch.randn(2, 2, 4, 7, 8, generator=torch.Generator().manual_seed(1))
MASK = torch.rand(5, 7, generator=torch.Generator().manual_seed(2)) > 0.3


@pytest.mark.parametrize(
    "keys",
    [{}, {"scale": 0.1}, {"attn_mask": MASK}, {"attn_mask": MASK.float() * -3}, {"is_causal": True}],
    ids=["plain", "scale", "mask", "bias", "causal"],
)  # fmt: skip
def test_weights_times_values_are_the_output(keys):
    weights, values = weights_of_fused(Q, K, V, **keys)
    torch.testing.assert_close(weights @ values, F.scaled_dot_product_attention(Q, K, V, **keys))


def test_keys_that_heads_share():
    few = K[:, :2], V[:, :2]
    weights, values = weights_of_fused(Q, *few, enable_gqa=True)
    wanted = F.scaled_dot_product_attention(Q, *(t.repeat_interleave(2, 1) for t in few))
    torch.testing.assert_close(weights @ values, wanted)


def test_it_changes_no_result():
    def layer(x):
        weights = (x @ x.transpose(-2, -1)).softmax(-1)
        return (weights @ x).add_(1), weights

    x = torch.rand(2, 5, 8)
    wanted = layer(x)
    watch = AttentionWatch()
    watch.entered("layer", torch.nn.Identity(), (x,))
    with watch:
        found = layer(x)
    watch.left("layer", torch.nn.Identity(), found)
    assert all(map(torch.equal, found, wanted))
    (caught,) = watch.caught
    assert torch.equal(caught.weights, wanted[1]) and caught.error < 1e-6 and not caught.mixed
