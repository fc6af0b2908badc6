"""Attention with plain matrix products: the same as SDPA, and only where it is faster."""

import pytest
import torch
from torch import nn

from qa_research.model.attention import _kept, attend, use_plain_below
from qa_research.model.bert import Architecture, build


def inputs(dtype=torch.float32, needs_gradient=True):
    torch.manual_seed(0)
    made = [torch.randn(3, 2, 7, 8).to(dtype).requires_grad_(needs_gradient) for _ in range(3)]
    mask = torch.ones(3, 1, 7, 7, dtype=torch.bool)
    mask[1, :, :, 5:] = False
    return made, mask


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 2e-2), (torch.float32, 1e-6)])
def test_context_and_gradients_equal_those_of_sdpa(monkeypatch, dtype, tolerance):
    # In float32 the plain way is only taken for dropout, so the smallest one takes it there.
    dropout = 0.0 if dtype == torch.bfloat16 else 1e-9
    found = []
    for below in (100, 0):
        (query, key, value), mask = inputs(dtype)
        chosen = dropout if below else 0.0
        context, weights = attend(nn.Module(), query, key, value, mask, below, dropout=chosen)
        context.square().sum().backward()
        found.append([context, query.grad, key.grad, value.grad])
        assert weights is None
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=tolerance)


def took_sdpa(monkeypatch, dtype, tokens_below, needs_gradient=True, dropout=0.0):
    calls = []

    def sdpa(module, query, *_, **__):
        calls.append(1)
        return query, None

    monkeypatch.setattr("qa_research.model.attention.sdpa_attention_forward", sdpa)
    made, mask = inputs(dtype, needs_gradient)
    attend(nn.Module(), *made, mask, tokens_below, dropout=dropout)
    return bool(calls)


def test_only_short_bfloat16_batches_and_dropout_train_without_sdpa(monkeypatch):
    assert not took_sdpa(monkeypatch, torch.bfloat16, 8)
    assert took_sdpa(monkeypatch, torch.bfloat16, 7)
    assert took_sdpa(monkeypatch, torch.float32, 8)
    assert took_sdpa(monkeypatch, torch.bfloat16, 8, needs_gradient=False)
    assert not took_sdpa(monkeypatch, torch.float32, 8, dropout=0.1)
    assert not took_sdpa(monkeypatch, torch.bfloat16, 7, dropout=0.1)


@pytest.mark.parametrize("count", [1, 4, 6, 100_001])
def test_dropout_drops_its_share_and_repeats_with_the_generator(count):
    weights = torch.ones(count)
    torch.manual_seed(3)
    first = _kept(weights, 0.1)
    torch.manual_seed(3)
    assert torch.equal(first, _kept(weights, 0.1)) and first.shape == weights.shape
    if count > 1000:
        # 100,001 draws: the standard deviation of the share is 0.00095.
        assert set(first.tolist()) == {0.0, 1.0}
        assert abs(first.mean().item() - 0.9) < 0.005
        assert _kept(weights, 0.0).all()


def test_a_network_keeps_sdpa_unless_it_is_asked():
    sizes = Architecture(16, 2, 2, 32, 64)
    network = build("random", sizes, 0.0, 100, 1).network
    use_plain_below(network, 0)
    assert network.config._attn_implementation == "sdpa"
    use_plain_below(network, 32)
    assert network.config._attn_implementation == "plain_below_32_tokens"


def test_training_in_bfloat16_has_nearly_the_gradient_of_float32():
    sizes = Architecture(32, 2, 2, 64, 64)
    batch = torch.randint(5, 100, (4, 20), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(batch)
    mask[2, 15:] = 0
    norms = []
    for below, autocast in ((64, True), (0, False)):
        network = build("random", sizes, 0.0, 100, 1).network
        use_plain_below(network, below)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            spans = torch.tensor([3, 4, 5, 6])
            output = network(
                input_ids=batch, attention_mask=mask, start_positions=spans, end_positions=spans
            )
        output.loss.backward()
        norms.append(
            torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])
        )
    assert torch.nn.functional.cosine_similarity(norms[0], norms[1], dim=0) > 0.99
