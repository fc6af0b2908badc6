import numpy as np
import pytest
import torch

from qa_research.explain.surrogate import distance_weights, regression
from qa_research.explain.words.lime import ALPHA, KERNEL_WIDTH, REPEATS, draw_word_masks, word_lime
from qa_research.stats import mean_overlap, rank_correlation, top_overlap, top_units
from qa_research.streams import stream
from tests.explain.words.reading_texts import Summing, reader_of, table_of, tiny_bert


def test_masks_switch_any_number_of_words_off_each_equally_often():
    masks = draw_word_masks(6000, 6, np.random.default_rng(1))
    counts = np.bincount((~masks).sum(axis=1), minlength=7)
    assert counts[0] == 0 and (np.abs(counts[1:] - 1000) < 150).all()
    # With 1 to 6 of 6 off, each is off in 3.5 / 6 of the masks.
    assert np.abs((~masks).mean(axis=0) - 3.5 / 6).max() < 0.03


def test_lime_finds_the_words_of_a_sum_with_their_signs(tokenizer):
    words = {"Lund": (3.0, 1.0), "chess": (-2.0, 0.5), "Monday": (0.5, 0.0)}
    reader = reader_of(Summing(table_of(tokenizer, words)), tokenizer)
    found = word_lime(reader, 200, 1, 1)
    texts = [word.text for word in reader.text.words]
    span = dict(zip(texts, found.values[2], strict=True))
    assert texts[top_units(found.values[2], 1)[0]] == "Lund"
    assert span["Lund"] == pytest.approx(4, abs=0.1) and span["chess"] == pytest.approx(
        -1.5, abs=0.1
    )
    assert found.values[0, texts.index("Monday")] == pytest.approx(0.5, abs=0.05)
    assert found.r2.min() > 0.99 and found.unseen_r2 > 0.99 and found.overlap == 1
    assert found.doubt is None
    np.testing.assert_allclose(found.values[0] + found.values[1], found.values[2], atol=1e-9)
    assert (found.low <= found.high).all()


def test_lime_says_when_it_cannot_be_believed(tokenizer):
    """Two words that count together alone are no sum; few masks make repeats differ."""
    ids = [tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in ("Monday", "fee")]
    network = Summing(table_of(tokenizer, {}), pair=ids, bonus=6.0)
    found = word_lime(reader_of(network, tokenizer), 12, 1, 5)
    assert found.unseen_r2 < 0.5 and found.overlap < 0.9
    assert "LIME cannot be believed here" in found.doubt and "R2" in found.doubt


def test_where_nothing_changes_lime_has_nothing_to_explain(tokenizer):
    found = word_lime(reader_of(Summing(table_of(tokenizer, {})), tokenizer), 10, 1, 3)
    assert np.abs(found.values).max() == 0 and np.isnan(found.r2).all()
    assert "cannot be believed" in found.doubt


def test_too_few_masks_are_refused(tokenizer):
    with pytest.raises(ValueError, match="--samples must be at least 2, got 1"):
        word_lime(reader_of(tiny_bert(tokenizer), tokenizer), 1, 1, 3)


def test_coefficients_are_those_of_captum_on_the_same_masks(tokenizer):
    from captum._utils.models.linear_model import SkLearnRidge
    from captum.attr import LimeBase

    reader = reader_of(tiny_bert(tokenizer), tokenizer)
    n_units = len(reader.units)
    samples = 40
    masks = np.concatenate(
        [draw_word_masks(samples, n_units, stream(1, "lime", i)) for i in range(REPEATS)]
    )
    given = iter(masks)

    def similarity(original, perturbed, interpretable, **kwargs):
        return torch.from_numpy(distance_weights(interpretable.numpy().astype(bool), KERNEL_WIDTH))

    peer = LimeBase(
        lambda ids: reader.at_span(ids).sum(dim=1),
        SkLearnRidge(alpha=ALPHA),
        similarity,
        lambda original, **kwargs: torch.from_numpy(next(given)).double()[None],
        True,
        lambda mask, original, **kwargs: reader.ids(mask.numpy().astype(bool)),
        None,
    )
    theirs = peer.attribute(reader.whole, n_samples=len(masks)).numpy()[0]
    ours = word_lime(reader, samples, 1, 3).values[2]
    np.testing.assert_allclose(ours, theirs, atol=2e-6)
    outputs = reader.say(masks, "Asking").outputs[2]
    fit = regression(masks, outputs, distance_weights(masks, KERNEL_WIDTH), "ridge", ALPHA)
    np.testing.assert_allclose(ours, fit.coefficients, atol=1e-9)


def test_batches_do_not_change_what_a_network_says(tokenizer):
    reader = reader_of(tiny_bert(tokenizer), tokenizer)
    masks = draw_word_masks(150, len(reader.units), np.random.default_rng(0))
    assert len(masks) > reader.at_once
    together = reader.say(masks, "Asking")
    for place in (0, reader.at_once, 149):
        alone = reader.say(masks[place : place + 1], "Asking")
        assert alone.outputs[2, 0] == pytest.approx(together.outputs[2, place], abs=1e-5)
        assert alone.probability[0] == pytest.approx(together.probability[place], abs=1e-6)


def test_rankings_are_compared_by_hand():
    one, other = np.array([5.0, 4.0, 3.0, -9.0]), np.array([4.0, 5.0, -1.0, 3.0])
    assert top_units(one, 2) == [0, 1] and top_units(np.zeros(3), 2) == [0, 1]
    assert top_overlap(one, other, 2) == 1 and top_overlap(one, other, 3) == 0.5
    assert rank_correlation(one, one) == pytest.approx(1)
    assert rank_correlation(one, -one) == pytest.approx(-1)
    assert np.isnan(rank_correlation(one, np.zeros(4)))
    assert mean_overlap([one, one, other], 3) == pytest.approx((1 + 0.5 + 0.5) / 3)


def test_the_rank_correlation_is_scipys():
    from scipy.stats import spearmanr

    generator = np.random.default_rng(2)
    one, other = generator.integers(0, 6, (2, 30)).astype(float)
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic)
