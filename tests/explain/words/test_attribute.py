import json

import numpy as np
import pytest
import torch

from qa_research.explain.words.attribute import AttributionRequest, attribute
from qa_research.explain.words.gradients import integrated_gradients, word_erasure
from qa_research.explain.words.result import LARGEST_ERROR, OUTPUTS, Attribution, strongest
from tests.conftest import CONTEXT
from tests.explain.words.reading_texts import (
    ASKED,
    Summing,
    hooks_of,
    opened,
    reader_of,
    rows_of,
    table_of,
    tiny_bert,
)

WORDS = {"Lund": (3.0, 1.0), "chess": (-2.0, 0.5), "Monday": (0.5, 0.0), "[MASK]": (0.25, 0.0)}


@pytest.fixture
def summing(tokenizer):
    return Summing(table_of(tokenizer, WORDS))


def expected(reader):
    """[output word]: a word's embedding less that of as many masks."""
    found = []
    for number in reader.units:
        word = reader.text.words[number]
        n = word.last_token - word.first_token + 1
        start, end = WORDS.get(word.text, (0.0, 0.0))
        found.append((start - 0.25 * n, end, start - 0.25 * n + end))
    return np.array(found).T


def test_gradients_and_erasure_find_what_each_word_adds_to_a_sum(summing, tokenizer):
    reader = reader_of(summing, tokenizer)
    gradients = integrated_gradients(reader)
    np.testing.assert_allclose(rows_of(gradients), expected(reader), atol=1e-5)
    assert gradients.doubt is None and gradients.largest_error < 1e-5 and gradients.steps == 20
    np.testing.assert_allclose(rows_of(word_erasure(reader)), expected(reader), atol=1e-5)


def test_a_words_value_belongs_to_its_place_not_to_its_text(tokenizer):
    """A word that occurs twice has two values."""
    reader = reader_of(tiny_bert(tokenizer), tokenizer)
    twice = [n for n, word in enumerate(reader.text.words) if word.text == "chess"]
    one, other = (word_erasure(reader).span[n] for n in twice)
    assert abs(one - other) > 1e-6


def test_erasure_equals_a_loop_by_hand(tokenizer):
    network = tiny_bert(tokenizer)
    reader = reader_of(network, tokenizer, kept=(1, 4))
    found = rows_of(word_erasure(reader))
    assert np.isnan(found[:, [1, 4]]).all()
    with torch.inference_mode():
        whole = network(**reader.text.inputs)
        for number in reader.units:
            word = reader.text.words[number]
            ids = reader.text.inputs["input_ids"].clone()
            ids[0, word.first_token : word.last_token + 1] = tokenizer.mask_token_id
            without = network(**reader.text.inputs | {"input_ids": ids})
            first, last = reader.target.first, reader.target.last
            start = whole.start_logits[0, first] - without.start_logits[0, first]
            end = whole.end_logits[0, last] - without.end_logits[0, last]
            np.testing.assert_allclose(found[:, number], [start, end, start + end], atol=1e-5)


def test_integrated_gradients_of_a_bert_sum_to_the_difference_of_its_logits(tokenizer):
    reader = reader_of(tiny_bert(tokenizer), tokenizer)
    gradients = integrated_gradients(reader)
    ends = np.array([[True] * len(reader.units), [False] * len(reader.units)])
    predicted = reader.predict(ends, "Predicting").outputs
    change = predicted[:, 0] - predicted[:, 1]
    error = np.abs(rows_of(gradients).sum(axis=1) - change) / np.abs(change)
    np.testing.assert_allclose(gradients.error, error, atol=1e-3)
    assert gradients.doubt is None and gradients.largest_error <= LARGEST_ERROR
    few = integrated_gradients(reader, most_steps=1)
    assert few.steps == 1 and few.largest_error > gradients.largest_error
    assert f"off by {100 * few.largest_error:.0f} % after 1 steps" in few.doubt


def test_methods_leave_no_hook_even_when_the_network_raises(tokenizer, summing):
    network = tiny_bert(tokenizer)
    reader = reader_of(network, tokenizer)
    integrated_gradients(reader)
    word_erasure(reader)
    assert hooks_of(network) == 0
    failing = reader_of(summing, tokenizer)
    integrated_gradients(failing)
    summing.fails = True
    for method in (integrated_gradients, word_erasure):
        with pytest.raises(RuntimeError, match="no memory left"):
            method(failing)
    assert hooks_of(summing) == 0


def test_a_hook_is_removed_when_the_pass_with_the_hook_raises(tokenizer):
    class Once(Summing):
        passes = 0

        def forward(self, input_ids, attention_mask, token_type_ids):
            self.passes += 1
            if self.passes > 4:
                assert hooks_of(self) == 1
                raise RuntimeError("no memory left")
            return super().forward(input_ids, attention_mask, token_type_ids)

    network = Once(table_of(tokenizer, WORDS))
    with pytest.raises(RuntimeError, match="no memory left"):
        integrated_gradients(reader_of(network, tokenizer))
    assert hooks_of(network) == 0


def test_weights_and_their_gradients_stay_as_they_were(tokenizer):
    network = tiny_bert(tokenizer)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    attribute(
        opened(network, tokenizer),
        ASKED,
        CONTEXT,
        AttributionRequest(("gradients", "erasure"), 5, 1, 3, False),
    )
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in network.parameters())


def test_an_attribution_is_the_same_again_and_another_with_another_seed(tokenizer):
    run = opened(tiny_bert(tokenizer), tokenizer)

    def result(seed):
        request = AttributionRequest(("gradients", "erasure", "lime"), 30, seed, 5, False)
        return attribute(run, ASKED, CONTEXT, request)

    one, other = result(1), result(2)
    assert result(1) == one
    assert one.methods["lime"] != other.methods["lime"]
    assert one.methods["gradients"] == other.methods["gradients"]
    json.dumps(one.as_json(), allow_nan=False)


def test_a_result_is_loaded_as_it_was_saved(tokenizer, tmp_path):
    run = opened(tiny_bert(tokenizer), tokenizer)
    request = AttributionRequest(("gradients", "erasure", "lime"), 30, 1, 5, True)
    found = attribute(run, ASKED, CONTEXT, request)
    found.save(tmp_path / "attribution.json")
    assert Attribution.load(tmp_path / "attribution.json") == found


def test_the_parts_of_a_result_fit_together(tokenizer):
    run = opened(tiny_bert(tokenizer), tokenizer)
    request = AttributionRequest(("gradients", "erasure", "lime"), 30, 1, 5, True)
    found = attribute(run, ASKED, CONTEXT, request)
    span = found.text.span
    assert found.answer == span.text == CONTEXT[span.char_start : span.char_end]
    kept = [place for place, word in enumerate(found.text.words) if not word.switched]
    assert kept == [place for place, word in enumerate(found.text.words) if word.in_span]
    for method in found.methods.values():
        rows = [getattr(method, output) for output in OUTPUTS]
        for row in rows:
            assert [place for place, value in enumerate(row) if value is None] == kept
        start, end, both = (np.array(row, dtype=float) for row in rows)
        np.testing.assert_allclose(start + end, both, atol=1e-4)
    assert len(found.agreement) == 3
    assert found.probability == pytest.approx(found.answer_probability, rel=1e-4)
    assert any("LIME is not reliable here" in sentence for sentence in found.warnings)


def test_the_answers_own_words_earn_nothing(tokenizer):
    """A ranking that finds only the answer's words is no more faithful than chance."""
    run = opened(tiny_bert(tokenizer), tokenizer)
    found = attribute(run, ASKED, CONTEXT, AttributionRequest(("erasure",), 5, 1, 3, False))
    own = sum(word.in_span for word in found.text.words)
    assert own and found.faithfulness.answer_stays
    assert found.faithfulness.counts[-1] == len(found.text.words) - own
    kept = attribute(run, ASKED, CONTEXT, AttributionRequest(("erasure",), 5, 1, 3, True))
    assert kept.faithfulness.answer_stays
    assert kept.faithfulness.random == found.faithfulness.random


def test_methods_are_compared_on_words_besides_the_answers_and_near_zero_words_do_not_count():
    one = np.array([2.0, 1.0, 0.5, *[0.001] * 20])
    other = np.array([1.8, 1.1, 0.4, *[-0.001] * 20])
    other[5:] += 0.0005 * np.arange(18)[::-1] / 18
    assert strongest([one, other]) == [0, 1, 2]
    assert strongest([np.zeros(3), np.zeros(3)]) == [0, 1, 2]


def test_a_top_of_all_words_is_refused(tokenizer):
    run = opened(tiny_bert(tokenizer), tokenizer)
    with pytest.raises(
        ValueError, match=r"--top 90 is all there is: the text has \d+ words besides"
    ):
        attribute(run, ASKED, CONTEXT, AttributionRequest(("erasure",), 5, 1, 90, False))


def test_logits_that_are_not_finite_are_refused(tokenizer):
    network = Summing(table_of(tokenizer, {"Lund": (float("nan"), 0.0)}))
    reader = reader_of(network, tokenizer)
    with pytest.raises(ValueError, match="not finite numbers"):
        reader.predict_full()


@pytest.mark.parametrize("kind", ["distilbert", "electra", "roberta"])
def test_other_architectures_are_explained_too(kind, tokenizer):
    from transformers import AutoConfig, AutoModelForQuestionAnswering

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    if kind == "distilbert":
        sizes = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
    config = AutoConfig.for_model(
        kind, vocab_size=len(tokenizer), initializer_range=0.4, intermediate_size=32, **sizes
    )
    network = AutoModelForQuestionAnswering.from_config(config).eval()
    request = AttributionRequest(("gradients", "erasure"), 5, 1, 3, False)
    found = attribute(opened(network, tokenizer), ASKED, CONTEXT, request)
    assert found.methods["gradients"].largest_error <= LARGEST_ERROR
    assert max(map(abs, found.methods["erasure"].span)) > 0.01
