import numpy as np
import pytest
import torch

from qa_research.explain.words.reader import Explained, answered_span, true_span
from qa_research.explain.words.text import masked_ids, unit_of_token
from qa_research.model.tokenizer import off_token
from qa_research.tasks.watching import NO_WORD
from tests.conftest import CONTEXT
from tests.explain.words.reading_texts import ASKED, opened, reader_of, text_from, tiny_bert


def test_words_are_those_of_both_texts_with_all_of_their_tokens(tokenizer):
    text = text_from(tokenizer, "Who teaches unbelievable chess?", CONTEXT)
    for word in text.words:
        source = text.question if word.part == "question" else text.context
        assert source[word.char_start : word.char_end] == word.text
    shown = [word.text for word in text.words if word.part == "question"]
    assert shown == ["Who", "teaches", "unbelievable", "chess", "?"]
    assert [w.text for w in text.words if w.part == "context"][:4] == [
        "Ms",
        "Lund",
        "teaches",
        "chess",
    ]
    covered = [t for word in text.words for t in range(word.first_token, word.last_token + 1)]
    ids = text.inputs["input_ids"][0].tolist()
    special = [t for t, token in enumerate(ids) if token in tokenizer.all_special_ids]
    assert len(text.words[2:3]) == 1 and text.words[2].last_token > text.words[2].first_token
    unknown = [t for t in special if ids[t] == tokenizer.unk_token_id]
    assert sorted(covered + [t for t in special if t not in unknown]) == list(range(text.n_tokens))


def test_blanks_before_a_question_are_not_part_of_it(tokenizer):
    assert text_from(tokenizer, f"   {ASKED}").words == text_from(tokenizer, ASKED).words


def test_off_replaces_each_token_of_a_word_and_no_other(tokenizer):
    text = text_from(tokenizer, "Who teaches unbelievable chess?")
    unit_of = unit_of_token(text, range(len(text.words)))
    assert unit_of[0] == NO_WORD and unit_of[-1] == NO_WORD
    masks = np.ones((2, len(text.words)), dtype=bool)
    masks[1, 2] = False
    off = off_token(tokenizer)
    whole, without = masked_ids(text.inputs["input_ids"][0], unit_of, off.token_id, masks)
    assert torch.equal(whole, text.inputs["input_ids"][0])
    changed = torch.nonzero(whole != without).flatten().tolist()
    assert changed == list(range(text.words[2].first_token, text.words[2].last_token + 1))
    assert set(without[changed].tolist()) == {tokenizer.mask_token_id}


class Tokens:
    """A tokenizer's special tokens."""

    def __init__(self, **tokens):
        for number, (name, token) in enumerate(tokens.items()):
            setattr(self, name, token)
            setattr(self, f"{name}_id", number)


@pytest.mark.parametrize(
    ("tokens", "token", "note"),
    [
        ({"pad_token": "<p>", "unk_token": "<u>", "mask_token": "<m>"}, "<m>", None),
        ({"pad_token": "<p>", "unk_token": "<u>"}, "<u>", "its unknown token"),
        ({"pad_token": "<p>", "mask_token": None}, "<p>", "its padding token"),
    ],
)
def test_without_a_mask_token_another_token_replaces_words_and_that_is_noted(tokens, token, note):
    off = off_token(Tokens(**tokens))
    assert off.token == token and off.token_id == list(tokens).index(f"{_name(tokens, token)}")
    assert off.note is None if note is None else note in off.note


def _name(tokens, token):
    return next(name for name, text in tokens.items() if text == token)


def test_a_tokenizer_without_any_of_the_three_is_refused():
    with pytest.raises(ValueError, match="no mask, unknown or padding token"):
        off_token(Tokens(cls_token="<c>"))


def test_the_answered_span_is_explained_with_the_probability_that_ask_reports(tokenizer):
    run = opened(tiny_bert(tokenizer), tokenizer)
    explained, answer = answered_span(run, ASKED, CONTEXT, keep_answer=False)
    assert answer == run.ask(ASKED, CONTEXT)
    assert explained.span_text == answer.text and explained.reader.text.note is None
    predicted = explained.reader.predict_full()
    assert predicted.probability[0] == pytest.approx(answer.probability, rel=1e-5)
    assert predicted.outputs[2, 0] == pytest.approx(answer.score, rel=1e-5)
    words = [explained.reader.text.words[number].text for number in explained.span_words]
    assert "".join(words) in answer.text.replace(" ", "")


def test_of_a_long_context_the_window_of_the_answer_is_explained(tokenizer):
    run = opened(tiny_bert(tokenizer, 3), tokenizer, max_tokens=24, stride=6)
    context = " ".join([CONTEXT] * 5)
    explained, answer = answered_span(run, ASKED, context, keep_answer=False)
    text = explained.reader.text
    start, end = text.context_chars
    assert text.windows > 4 and start <= answer.char_start < answer.char_end <= end
    assert explained.span_text == answer.text
    predicted = explained.reader.predict_full()
    assert predicted.outputs[2, 0] == pytest.approx(answer.score, rel=1e-5)
    assert f"characters {start} to {end} of {len(context)}" in text.note


def test_no_answer_is_explained_at_token_0(tokenizer):
    run = opened(tiny_bert(tokenizer), tokenizer, abstain=True)
    explained, answer = answered_span(run, ASKED, CONTEXT, keep_answer=False)
    assert not answer.text and answer == run.ask(ASKED, CONTEXT)
    target = explained.reader.target
    assert (target.first, target.last, target.is_null, explained.span_words) == (0, 0, True, ())
    predicted = explained.reader.predict_full()
    assert predicted.probability[0] == pytest.approx(answer.probability, rel=1e-5)
    with pytest.raises(ValueError, match="--keep-answer"):
        answered_span(run, ASKED, CONTEXT, keep_answer=True)


def test_the_answers_words_can_be_kept(tokenizer):
    run = opened(tiny_bert(tokenizer), tokenizer)
    explained, _ = answered_span(run, ASKED, CONTEXT, keep_answer=True)
    reader = explained.reader
    assert not set(explained.span_words) & set(reader.units)
    blank = reader.blank_ids[0]
    first, last = reader.target.first, reader.target.last
    assert torch.equal(blank[first : last + 1], reader.full_ids[0, first : last + 1])


def test_bad_input_is_refused(tokenizer):
    run = opened(tiny_bert(tokenizer), tokenizer, max_tokens=32)
    for question, context, sentence in (
        (" ", CONTEXT, "question is empty"),
        (ASKED, " ", "context is empty"),
        ("Who teaches " * 30, CONTEXT, "leaves room for"),
    ):
        with pytest.raises(ValueError, match=sentence):
            answered_span(run, question, context, keep_answer=False)


def test_the_true_span_of_a_watched_question_is_found_in_its_window(tokenizer, questions):
    from qa_research.capture.watched import describe
    from qa_research.tasks.answering.watched import watched_windows

    run = opened(tiny_bert(tokenizer), tokenizer, max_tokens=26, stride=6)
    watched = watched_windows(
        [("train", row) for row in questions], tokenizer, 26, 6, run.answering
    )
    spans = watched.spans.tolist()
    for described, (first, last) in zip(describe(watched)["questions"], spans, strict=True):
        explained = true_span(run, described, first, last)
        assert explained.span_text == described["answers"][0]
    described = describe(watched)["questions"][0]
    assert true_span(run, described, 0, 0) is None
    null = true_span(run, described | {"answers": []}, 0, 0)
    assert null.reader.target.is_null
    with pytest.raises(ValueError, match="does not make"):
        true_span(run, described | {"tokens": ["other"]}, *spans[0])


def test_a_span_inside_a_word_is_reported(tokenizer):
    text = text_from(tokenizer, ASKED, "Ms Lund is unbelievable")
    word = text.words[-1]
    tokens = word.first_token, word.last_token
    reader = reader_of(tiny_bert(tokenizer), tokenizer, text, tokens)
    assert Explained(reader, word.char_start, word.char_end).part_of_word is None
    inside = Explained(reader, word.char_start + 2, word.char_end).part_of_word
    assert "a part of “unbelievable”" in inside
