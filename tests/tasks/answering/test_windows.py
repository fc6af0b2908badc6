import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qa_research.model.tokenizer import trained_wordpiece
from qa_research.tasks.answering.question import Gold, Question, texts_of
from qa_research.tasks.answering.windows import cached_windows, fingerprint, make_windows


def labels_by_the_example(offsets, parts, answers, cls_index=0):
    """Labels as Hugging Face's question-answering example defines them, token by token.

    The first gold answer's span where the window holds it whole, else the [CLS] token.
    """
    context = [i for i, part in enumerate(parts) if part == 1]
    if not answers or not context:
        return cls_index, cls_index
    begin = answers[0].start
    end = begin + len(answers[0].text)
    if not (offsets[context[0]][0] <= begin and offsets[context[-1]][1] >= end):
        return cls_index, cls_index
    first = max(i for i in context if offsets[i][0] <= begin)
    last = min(i for i in context if offsets[i][1] >= end)
    return first, last


def check_against_the_example(questions, tokenizer, max_tokens, stride_tokens):
    windows = make_windows(questions, tokenizer, max_tokens, stride_tokens)
    number = 0
    for position, row in enumerate(questions):
        encoded = tokenizer(
            row.question.lstrip(),
            row.context,
            truncation="only_second",
            max_length=max_tokens,
            stride=stride_tokens,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        for i, ids in enumerate(encoded["input_ids"]):
            here = slice(windows.starts[number], windows.starts[number + 1])
            assert windows.input_ids[here].tolist() == ids
            assert windows.token_types[here].tolist() == encoded["token_type_ids"][i]
            span = labels_by_the_example(
                encoded["offset_mapping"][i], encoded.sequence_ids(i), row.answers
            )
            assert (windows.span_first[number], windows.span_last[number]) == span
            assert windows.question[number] == position
            number += 1
    assert number == len(windows)


def test_windows_and_labels_equal_those_of_hugging_faces_example(questions, tokenizer):
    check_against_the_example(questions, tokenizer, 24, 6)
    check_against_the_example(questions, tokenizer, 64, 0)


WORDS = "chess judo Ms Lund Monday rowing 12 crowns, the a. Friday rope".split()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=3, max_size=60), st.data())
def test_labels_equal_the_examples_on_random_texts_without_blanks_around(tokenizer, words, data):
    context = " ".join(words)
    begin = data.draw(st.integers(0, len(context) - 1))
    end = data.draw(st.integers(begin + 1, len(context)))
    assume(context[begin:end] == context[begin:end].strip())
    row = Question("r", "", context, "Who?", (Gold(context[begin:end], begin),), "who")
    check_against_the_example([row], tokenizer, data.draw(st.integers(16, 40)), 5)


def test_the_labelled_tokens_cover_the_answer(questions, tokenizer):
    windows = make_windows(questions, tokenizer, 64, 8)
    for i, row in enumerate(questions):
        offset = windows.starts[i]
        begin = windows.char_start[offset + windows.span_first[i]]
        end = windows.char_end[offset + windows.span_last[i]]
        assert row.context[begin:end] == row.answers[0].text


def test_offsets_outside_the_context_are_zero(questions, tokenizer):
    windows = make_windows(questions[:1], tokenizer, 64, 8)
    outside = np.ones(len(windows.input_ids), dtype=bool)
    outside[windows.context_first[0] : windows.context_last[0] + 1] = False
    assert not windows.char_end[outside].any()
    assert windows.char_end[~outside].all()


def test_an_unanswerable_question_points_at_cls(questions, tokenizer):
    row = Question("u", "", questions[0].context, "Why?", (), "why")
    windows = make_windows([row], tokenizer, 64, 8)
    assert (windows.span_first[0], windows.span_last[0]) == (0, 0)


def test_a_question_longer_than_the_window_is_named(questions, tokenizer):
    row = Question("long-one", "", questions[0].context, "chess " * 30, (), "other")
    with pytest.raises(ValueError, match=r"question long-one has 30 tokens.*room for 12"):
        make_windows([*questions, row], tokenizer, 24, 8)


def test_a_second_start_maps_the_same_windows_from_disk(questions, tokenizer, tmp_path):
    made = make_windows(questions, tokenizer, 24, 6)
    for _ in range(2):
        found = cached_windows(questions, tokenizer, 24, 6, tmp_path)
        for name in vars(made):
            np.testing.assert_array_equal(getattr(found, name), getattr(made, name))
    assert len(list(tmp_path.iterdir())) == 1
    assert not found.input_ids.flags.owndata


def test_both_splits_are_found_again_by_a_new_tokenizer(questions, tmp_path):
    for _ in range(2):
        fresh = trained_wordpiece(texts_of(questions), 400, tmp_path / "words")
        plain = fresh.backend_tokenizer.to_str()
        for split in (questions[:5], questions[5:]):
            cached_windows(split, fresh, 24, 6, tmp_path / "windows")
        assert fresh.backend_tokenizer.to_str() == plain
    assert len(list((tmp_path / "windows").iterdir())) == 2


def test_the_cache_is_keyed_by_questions_and_settings(questions, tokenizer, tmp_path):
    cached_windows(questions, tokenizer, 24, 6, tmp_path)
    cached_windows(questions, tokenizer, 25, 6, tmp_path)
    cached_windows(questions, tokenizer, 24, 7, tmp_path)
    cached_windows(questions[1:], tokenizer, 24, 6, tmp_path)
    assert len(list(tmp_path.iterdir())) == 4
    assert fingerprint(questions) != fingerprint(questions[::-1])


def test_windows_are_made_without_waiting_for_torch():
    code = "import sys, qa_research.tasks.answering.windows; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
