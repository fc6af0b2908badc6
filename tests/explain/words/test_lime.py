import numpy as np
import pytest

from qa_research.explain.surrogate import ALPHA, distance_weights
from qa_research.explain.words.lime import KERNEL_WIDTH, REPEATS, draw_word_masks, word_lime
from qa_research.stats import mean_overlap, rank_correlation, ranked, top_overlap
from qa_research.streams import stream
from tests.explain.words.reading_texts import (
    Summing,
    reader_of,
    rows_of,
    table_of,
    text_from,
    tiny_bert,
)


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
    span = dict(zip(texts, found.span, strict=True))
    assert max(span, key=span.get) == "Lund"
    assert span["Lund"] == pytest.approx(4, abs=0.1)
    assert span["chess"] == pytest.approx(-1.5, abs=0.1)
    assert found.start[texts.index("Monday")] == pytest.approx(0.5, abs=0.05)
    assert min(found.r2) > 0.99 and found.unseen_r2 > 0.99 and found.overlap == 1
    assert found.doubt is None
    start, end, both = rows_of(found)
    np.testing.assert_allclose(start + end, both, atol=1e-6)
    assert all(low <= high for low, high in zip(found.low, found.high, strict=True))


def test_lime_says_when_it_is_not_reliable(tokenizer):
    """Two words that count only together are not a sum, and few masks make repeats differ."""
    ids = [tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in ("Monday", "fee")]
    network = Summing(table_of(tokenizer, {}), pair=ids, bonus=6.0)
    found = word_lime(reader_of(network, tokenizer), 12, 1, 5)
    assert found.unseen_r2 < 0.5 and found.overlap < 0.9
    assert "LIME is not reliable here" in found.doubt and "R²" in found.doubt


def test_lime_names_the_top_that_all_repeats_agree_on_besides_the_answers_words(tokenizer):
    words = {"Lund": (3.0, 1.0), "chess": (2.0, 0.5), "fee": (0.6, 0.1)}
    network = Summing(table_of(tokenizer, words))
    text = text_from(tokenizer)
    own = next(word for word in text.words if word.text == "Lund")
    reader = reader_of(network, tokenizer, text, (own.first_token, own.last_token))
    assert [text.words[reader.units[i]].text for i in reader.besides_answer].count("Lund") == 0
    assert len(reader.besides_answer) == len(reader.units) - 1
    found = word_lime(reader, 200, 1, 3)
    assert found.stable_top.items == len(reader.units) - 1
    # "chess" occurs twice, in the question and in the context.
    assert found.stable_top.k == 3 and found.stable_top.sizes == (2, 3)
    assert found.ranks.startswith("LIME, of the words besides the answer's: the top 3 are stable")
    assert found.doubt is None and 0 < found.chance_overlap < 0.2
    tied = [text.words[number].text for number in found.stable_top.tied]
    assert len(tied) > 1 and not {"Lund", "chess", "fee"} & set(tied)


def test_where_nothing_changes_lime_has_nothing_to_explain(tokenizer):
    found = word_lime(reader_of(Summing(table_of(tokenizer, {})), tokenizer), 10, 1, 3)
    assert np.abs(rows_of(found)).max() == 0 and found.r2 == (None, None, None)
    assert "not reliable" in found.doubt


def test_too_few_masks_are_refused(tokenizer):
    with pytest.raises(ValueError, match="--samples must be at least 2, got 1"):
        word_lime(reader_of(tiny_bert(tokenizer), tokenizer), 1, 1, 3)


def test_coefficients_are_scikit_learns_on_the_same_masks(tokenizer):
    from sklearn.linear_model import Ridge

    reader = reader_of(tiny_bert(tokenizer), tokenizer)
    parts = [draw_word_masks(40, len(reader.units), stream(1, "lime", i)) for i in range(REPEATS)]
    masks = np.concatenate(parts)
    weights = distance_weights(masks, KERNEL_WIDTH)
    found = word_lime(reader, 40, 1, 3)
    for coefficients, outputs in zip(
        rows_of(found), reader.predict(masks, "Predicting").outputs, strict=True
    ):
        peer = Ridge(alpha=ALPHA * weights.sum()).fit(masks, outputs, sample_weight=weights)
        np.testing.assert_allclose(coefficients, peer.coef_, atol=1e-6)
    assert np.abs(rows_of(found)).max() > 0.01


def test_batches_do_not_change_the_predictions(tokenizer):
    reader = reader_of(tiny_bert(tokenizer), tokenizer)
    masks = draw_word_masks(150, len(reader.units), np.random.default_rng(0))
    assert len(masks) > reader.batch_size
    together = reader.predict(masks, "Predicting")
    for place in (0, reader.batch_size, 149):
        alone = reader.predict(masks[place : place + 1], "Predicting")
        assert alone.outputs[2, 0] == pytest.approx(together.outputs[2, place], abs=1e-5)
        assert alone.probability[0] == pytest.approx(together.probability[place], abs=1e-6)


def test_rankings_are_compared_by_hand():
    one, other = np.array([5.0, 4.0, 3.0, -9.0]), np.array([4.0, 5.0, -1.0, 3.0])
    assert ranked(one)[:2].tolist() == [0, 1] and ranked(np.zeros(3)).tolist() == [0, 1, 2]
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
