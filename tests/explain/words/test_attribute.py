import json

import numpy as np
import pytest
import torch

from qa_research.explain.words.attribute import AttributionRequest, attribute
from qa_research.explain.words.gradients import LARGEST_ERROR, erased, integrated_gradients
from qa_research.explain.words.reader import OUTPUTS
from tests.conftest import CONTEXT
from tests.explain.words.reading_texts import (
    ASKED,
    Summing,
    hooks_of,
    opened,
    reader_of,
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
    np.testing.assert_allclose(gradients.values, expected(reader), atol=1e-5)
    assert gradients.is_complete and gradients.error.max() < 1e-5 and gradients.steps == 20
    np.testing.assert_allclose(erased(reader), expected(reader), atol=1e-5)


def test_a_words_value_is_that_of_its_place_not_of_its_text(tokenizer):
    """A word that stands twice has two values."""
    reader = reader_of(tiny_bert(tokenizer), tokenizer)
    twice = [n for n, word in enumerate(reader.text.words) if word.text == "chess"]
    values = erased(reader)[2, twice]
    assert len(twice) == 2 and abs(values[0] - values[1]) > 1e-6


def test_erasure_equals_a_loop_by_hand(tokenizer):
    network = tiny_bert(tokenizer)
    reader = reader_of(network, tokenizer, kept=(1, 4))
    found = erased(reader)
    with torch.inference_mode():
        whole = network(**reader.text.inputs)
        for place, number in enumerate(reader.units):
            word = reader.text.words[number]
            ids = reader.text.inputs["input_ids"].clone()
            ids[0, word.first_token : word.last_token + 1] = tokenizer.mask_token_id
            without = network(**reader.text.inputs | {"input_ids": ids})
            first, last = reader.target.first, reader.target.last
            start = whole.start_logits[0, first] - without.start_logits[0, first]
            end = whole.end_logits[0, last] - without.end_logits[0, last]
            np.testing.assert_allclose(found[:, place], [start, end, start + end], atol=1e-5)


def test_integrated_gradients_of_a_bert_sum_to_the_difference_of_its_logits(tokenizer):
    reader = reader_of(tiny_bert(tokenizer), tokenizer)
    gradients = integrated_gradients(reader)
    ends = np.array([[True] * len(reader.units), [False] * len(reader.units)])
    said = reader.say(ends, "Asking").outputs
    change = said[:, 0] - said[:, 1]
    error = np.abs(gradients.values.sum(axis=1) - change) / np.abs(change)
    np.testing.assert_allclose(gradients.error, error, atol=1e-3)
    assert gradients.is_complete and (gradients.error <= LARGEST_ERROR).all()
    few = integrated_gradients(reader, most_steps=1)
    assert few.steps == 1 and few.error.max() > gradients.error.max()


def test_what_reads_leaves_no_hook_also_when_the_network_raises(tokenizer, summing):
    network = tiny_bert(tokenizer)
    reader = reader_of(network, tokenizer)
    integrated_gradients(reader)
    erased(reader)
    assert hooks_of(network) == 0
    failing = reader_of(summing, tokenizer)
    integrated_gradients(failing)
    summing.fails = True
    for method in (integrated_gradients, erased):
        with pytest.raises(RuntimeError, match="no memory left"):
            method(failing)
    assert hooks_of(summing) == 0


def test_a_hook_is_gone_when_the_pass_with_the_hook_raises(tokenizer):
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

    def text(seed):
        wish = AttributionRequest(("gradients", "erasure", "lime"), 30, seed, 5, False)
        return json.dumps(attribute(run, ASKED, CONTEXT, wish).as_json(), allow_nan=False)

    assert text(1) == text(1)
    one, other = json.loads(text(1)), json.loads(text(2))
    assert one["methods"]["lime"] != other["methods"]["lime"]
    assert one["methods"]["gradients"] == other["methods"]["gradients"]


def test_what_is_told_fits_together(tokenizer):
    run = opened(tiny_bert(tokenizer), tokenizer)
    wish = AttributionRequest(("gradients", "erasure", "lime"), 30, 1, 5, True)
    found = attribute(run, ASKED, CONTEXT, wish).as_json()
    assert found["answer"] == found["span"]["text"]
    assert CONTEXT[found["span"]["char_start"] : found["span"]["char_end"]] == found["answer"]
    kept = [place for place, word in enumerate(found["words"]) if not word["switched"]]
    assert kept == [place for place, word in enumerate(found["words"]) if word["in_span"]]
    for method in found["methods"].values():
        for output in OUTPUTS:
            nothing = [place for place, value in enumerate(method[output]) if value is None]
            assert nothing == kept
        start, end, span = (np.array(method[name], dtype=float) for name in OUTPUTS)
        np.testing.assert_allclose(start + end, span, atol=1e-4)
    assert len(found["agreement"]) == 3
    assert found["probability"] == pytest.approx(found["answer_probability"], rel=1e-4)
    assert any("cannot be believed" in sentence for sentence in found["warnings"])


def test_logits_that_are_no_numbers_are_refused(tokenizer):
    network = Summing(table_of(tokenizer, {"Lund": (float("nan"), 0.0)}))
    reader = reader_of(network, tokenizer)
    with pytest.raises(ValueError, match="no finite numbers"):
        reader.say(np.ones((1, len(reader.units)), dtype=bool), "Asking")


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
    wish = AttributionRequest(("gradients", "erasure"), 5, 1, 3, False)
    found = attribute(opened(network, tokenizer), ASKED, CONTEXT, wish)
    assert found.gradients is not None and found.gradients.is_complete
    assert np.abs(found.values["erasure"]).max() > 0.01
