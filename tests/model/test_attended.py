"""Attention written out: the worked example, the masks, and parity with torch's own."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from qa_research.model.attended import (
    attended,
    attention_of_scores,
    causal,
    local,
    padding,
    scores,
    strided,
)
from qa_research.model.positions import sinusoidal

CAT_BREED, BREED_CAT = ("the", "cat", "breed"), ("breed", "the", "cat")


def bits(*words: str) -> torch.Tensor:
    """Vectors of the digits of words."""
    return torch.tensor([[float(digit) for digit in word] for word in words])


def test_the_worked_example():
    query, key, value = bits("0001", "1100"), bits("0010", "0011"), bits("1010", "0101")
    assert torch.equal(attended(query, key, value, softmax=False), bits("0101", "0000"))
    first, second = attended(query, key, value)
    near = 1 / (1 + torch.tensor(-0.5).exp())
    torch.testing.assert_close(first, (1 - near) * value[0] + near * value[1])
    torch.testing.assert_close(second, value.mean(dim=0))


@pytest.mark.parametrize("name", ["none", "padding", "causal", "local", "strided", "cross"])
def test_it_is_torchs_own_attention(name):
    torch.manual_seed(1)
    tokens = 7
    keys = 5 if name == "cross" else tokens
    query = torch.randn(2, 3, tokens, 8)
    key, value = torch.randn(2, 3, keys, 8), torch.randn(2, 3, keys, 4)
    mask = {
        "padding": padding(torch.tensor([7, 4]), tokens)[:, None],
        "causal": causal(tokens),
        "local": local(tokens, 1),
        "strided": strided(tokens, 3),
    }.get(name)
    wanted = scaled_dot_product_attention(query, key, value, attn_mask=mask)
    torch.testing.assert_close(attended(query, key, value, mask), wanted, atol=1e-6, rtol=1e-5)


def test_the_weights_of_what_is_seen_sum_to_one_and_who_sees_nothing_gets_nothing():
    query, key = bits("0001", "1100"), bits("0010", "0011")
    mask = torch.tensor([[True, False], [False, False]])
    weights = attention_of_scores(scores(query, key), mask)
    assert torch.equal(weights, torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    assert not attended(query, key, bits("1010", "0101"), mask)[1].any()
    unscaled = attended(bits("0001"), key, bits("1010", "0101"), mask[:1], softmax=False)
    assert not unscaled.any(), "the only key that fits may not be seen"


def test_masks_say_who_sees_whom():
    assert causal(3).int().tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    assert local(4, 1).int().tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]
    assert strided(4, 2).int().tolist() == [[1, 0, 1, 0], [0, 1, 0, 1]] * 2
    found = padding(torch.tensor([2, 3]), 3)
    assert found.int().tolist() == [[[1, 1, 0]], [[1, 1, 1]]]


@pytest.mark.parametrize(("tokens", "stride"), [(12, 4), (15, 5), (16, 3)])
def test_local_and_strided_together_see_everything_in_two_steps(tokens, stride):
    both = (local(tokens, stride - 1) | strided(tokens, stride)).float()
    assert (both @ both > 0).all() and not both.all()


def test_without_positions_attention_is_permutation_equivariant_and_with_them_it_is_not():
    torch.manual_seed(1)
    embedding = dict(zip(CAT_BREED, torch.randn(3, 8), strict=True))
    straight, turned = (
        torch.stack([embedding[word] for word in words]) for words in (CAT_BREED, BREED_CAT)
    )
    order = [CAT_BREED.index(word) for word in BREED_CAT]

    def itself(x):
        return attended(x, x, x)

    torch.testing.assert_close(itself(turned), itself(straight)[order])
    places = sinusoidal(3, 8)
    difference = itself(turned + places) - itself(straight + places)[order]
    assert difference.abs().max() > 0.1


def test_sinusoidal_encodings_by_hand():
    found = sinusoidal(50, 8)
    assert found[3, 2:4].tolist() == pytest.approx([0.29552, 0.95534], abs=1e-5)
    assert found[0].tolist() == [0, 1] * 4
    assert found[7, 5] == pytest.approx(torch.tensor(7 / 10000 ** (4 / 8)).cos().item())
    assert sinusoidal(4, 5).shape == (4, 5)


def test_the_product_of_two_encodings_depends_on_their_distance():
    found = sinusoidal(40, 16)
    products = found @ found.T
    for distance in (0, 1, 5, 20):
        along = products.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), atol=1e-4, rtol=0)
    assert products[0].argmax() == 0 and float(products[0, 0]) == pytest.approx(8)
