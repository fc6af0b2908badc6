import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qa_research.tasks.answering.decode import join_windows, spans_of_batch
from qa_research.tasks.answering.labels import exactness, label, owned_chars
from qa_research.tasks.answering.question import Gold, Question
from qa_research.tasks.answering.windows import make_windows
from tests.tasks.answering.families import ALL_MARKERS, FAMILIES, tokenizer_of


def row_of(context: str, answer: str, name: str = "r", begin: int | None = None) -> Question:
    start = context.index(answer) if begin is None else begin
    return Question(name, "", context, "Who keeps it?", (Gold(answer, start),), "who")


def labels_of(row: Question, tokenizer, max_tokens: int = 200) -> list[str]:
    """The text of the label in each window that has one."""
    windows = make_windows([row], tokenizer, max_tokens, 6)
    return [
        windows.text(i, row.context, tokenizer).text(
            int(windows.span_first[i]), int(windows.span_last[i])
        )
        for i in range(len(windows))
        if windows.span_last[i]
    ]


def decoded(row: Question, windows, index: int) -> str:
    """The answer of a model that is sure of the label of a window."""
    scores = torch.zeros(2, 1, int(windows.lengths[index]))
    scores[0, 0, int(windows.span_first[index])] = scores[1, 0, int(windows.span_last[index])] = 9.0
    spans = spans_of_batch(scores[0], scores[1], windows, [index], 500, 1)
    return join_windows([row], windows, spans, 500, 1, None)[0].text


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("answer", [" Ana Torres ", "Ana Torres ", " Ana Torres", "\n Ana Torres"])
def test_blanks_around_an_answer_are_no_part_of_its_label(family, answer):
    context = f"It is kept by.{answer}who opens at seven."
    row = row_of(context, answer)
    assert labels_of(row, tokenizer_of(family)) == ["Ana Torres"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "answer",
    [
        "Noe\u0308l",  # a decomposed accent
        "cafe\u0301",  # one at the end
        "\u0939\u093f\u0928\u094d\u0926\u0940",  # Devanagari with a virama and vowel signs
        "\u0938\u0902\u0917\u0940\u0924\u0902",  # ... with an anusvara at the end
        "\u0643\u062a\u0628\u0651\u064e",  # Arabic with two marks at the end
    ],
)
def test_the_marks_behind_a_letter_belong_to_its_token(family, answer):
    row = row_of(f"seven {answer} seven", answer)
    tokenizer = tokenizer_of(family)
    windows = make_windows([row], tokenizer, 200, 6)
    assert labels_of(row, tokenizer) == [answer]
    assert decoded(row, windows, 0) == answer
    assert exactness([row], windows, tokenizer, 30).count == 0
    text = windows.text(0, row.context, tokenizer)
    begin = row.answers[0].start
    span = (int(windows.span_first[0]), int(windows.span_last[0]))
    assert text.span_of(begin, begin + len(answer)) == span


def test_a_mark_that_another_token_covers_stays_that_tokens():
    # "e" and the accent are tokens of their own; the answer is the first word without its ending.
    chars = np.array([[0, 1], [1, 2], [2, 3]], dtype=np.int32)
    assert owned_chars("e\u0301a", chars).tolist() == chars.tolist()
    chars = np.array([[0, 1], [2, 3]], dtype=np.int32)
    assert owned_chars("e\u0301a", chars).tolist() == [[0, 2], [2, 3]]


def test_a_character_of_several_tokens_is_labelled_with_all_of_them():
    # Byte-level tokens: three for an emoji, each of which covers it.
    chars = np.array([[0, 1], [2, 3], [2, 3], [2, 3], [4, 5]], dtype=np.int32)
    assert label(chars, (2, 3)) == (1, 3)
    row = row_of("seven \U0001f469\u200d\U0001f52c seven", "\U0001f469\u200d\U0001f52c")
    tokenizer = tokenizer_of("byte_bpe")
    windows = make_windows([row], tokenizer, 60, 6)
    assert windows.span_first[0] < windows.span_last[0]
    assert decoded(row, windows, 0) == row.answers[0].text


@pytest.mark.parametrize("family", FAMILIES)
def test_text_that_spells_a_special_token_is_text(family):
    tokenizer = tokenizer_of(family)
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    for marker in ALL_MARKERS:
        row = row_of(f"Ana {marker} keeps it, says {marker}Torres.", "Torres")
        row = Question(row.id, "", row.context, f"Who {marker} keeps it?", row.answers, "who")
        windows = make_windows([row], tokenizer, 200, 6)
        found = [i for i in windows.input_ids.tolist() if i in special]
        assert len(found) == tokenizer.num_special_tokens_to_add(pair=True)
        assert decoded(row, windows, 0) == "Torres"
        parts = windows.text(0, row.context, tokenizer).parts
        assert parts.count("sep") == len(found) - 1


def test_answers_that_cannot_be_given_are_counted_and_said():
    tokenizer = tokenizer_of("wordpiece")
    context = "Ana Torres keeps the cafe near the old mill; it opens at seven."
    rows = [
        row_of(context, "Ana Torres", "good"),
        row_of(context, "na Torres", "inside-a-word"),
        row_of(context, "the cafe near the old mill; it opens", "long"),
        Question("none", "", context, "Why?", (), "why"),
        row_of(context, "keeps the cafe near the old mill; it opens at seven", "wide"),
    ]
    windows = make_windows(rows, tokenizer, 200, 6)
    found = exactness(rows, windows, tokenizer, 6)
    assert (found.answers, found.count, found.first) == (4, 3, "inside-a-word")
    assert (found.other_text, found.too_long, found.no_window) == (1, 2, 0)
    sentence = found.sentences("training", 6)[0]
    assert sentence.startswith("3 of 4 training answers cannot be given exactly: ")
    assert f"the longest has {found.longest} tokens, first: inside-a-word" in sentence
    small = make_windows(rows[:1] + rows[4:], tokenizer, 20, 2)
    found = exactness(rows[:1] + rows[4:], small, tokenizer, 500)
    assert (found.no_window, found.first) == (1, "wide")
    assert "1 whole in no window" in found.sentences("training", 500)[0]


def test_a_text_that_the_vocabulary_does_not_know_is_said():
    tokenizer = tokenizer_of("wordpiece")
    thai = "\u0e21\u0e32\u0e25\u0e35\u0e40\u0e1b\u0e34\u0e14\u0e23\u0e49\u0e32\u0e19"
    row = row_of(f"{thai} {thai} seven", thai[:4])
    windows = make_windows([row], tokenizer, 60, 6)
    found = exactness([row], windows, tokenizer, 30)
    assert found.other_text == 1 and found.unknown_share > 0.1
    said = found.sentences("training", 30)
    assert (
        f"{100 * found.unknown_share:.0f} % of the training tokens are unknown ([UNK])" in said[1]
    )


PIECES = st.sampled_from(
    [
        *("Ana", "Torres", "cafe", "12", ",", ".", "(", "\u00bd", "\ufb01sh", "seven's"),
        *("caf\u00e9", "cafe\u0301", "e\u0301\u0301", "\u0301", "No\u0308el"),
        *(
            "\u0939\u093f\u0928\u094d\u0926\u0940",
            "\u0915\u094d\u200d\u0937",
            "\u0643\u062a\u0628\u0651",
        ),
        *(
            "\u05e9\u05dc\u05d5\u05dd",
            "\u90ae\u5c40\u5728\u6865",
            "\u0e21\u0e32\u0e25\u0e35",
            "\ud55c\uad6d",
        ),
        *("\U0001f469\u200d\U0001f52c", "\u2764\ufe0f", "\U0001f44d\U0001f3fd", "\U0001d54f"),
        *("\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd", "Vie\u0323\u0302t", "\u0e01\u0e33\u0e49"),
        *("\u1781\u17d2\u1798\u17c2\u179a", "\u1019\u103c\u1014\u103a\u1019\u102c"),
        *("\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1f3\U0001f1f4", "\u0130", "\u1e9e"),
        *("\u1100\u1161\u11a8", "\u212b", "\u3392", "\ufdfa", "a\u20dd", "\u0344", "\u202e"),
        *("\u200f", "\u200c", "\u2060", "\u2581", "\u0120", "##a", "\r\n", "\u2028", "\x1f"),
        *("\u200b", "\u00a0", "\u3000", "\u00ad", "\ufeff", "\t", "\n", "\x00", "\x85"),
        *ALL_MARKERS,
    ]
)
TEXTS = st.lists(
    st.tuples(PIECES, st.sampled_from(["", " ", " ", "  "])), min_size=1, max_size=25
).map(lambda parts: "".join(piece + blank for piece, blank in parts))


@pytest.mark.parametrize("family", FAMILIES)
@given(question=TEXTS, context=TEXTS, data=st.data())
def test_a_label_is_the_gold_answer_or_is_counted(family, question, context, data):
    tokenizer = tokenizer_of(family)
    begin = data.draw(st.integers(0, len(context) - 1))
    end = data.draw(st.integers(begin + 1, len(context)))
    row = Question("r", "", context, question[:8], (Gold(context[begin:end], begin),), "who")
    windows = make_windows([row], tokenizer, data.draw(st.integers(50, 120)), 6)
    gold = row.answers[0].text.strip()
    is_given = False
    begin += len(row.answers[0].text) - len(row.answers[0].text.lstrip())
    for index in range(len(windows)):
        first, last = int(windows.span_first[index]), int(windows.span_last[index])
        if not last:
            continue
        assert windows.context_first[index] <= first <= last <= windows.context_last[index]
        shown = windows.text(index, context, tokenizer)
        # Both end tokens hold letters of the answer, so no neighbour is taken in.
        for start, stop in (shown.chars[first], shown.chars[last]):
            assert start < begin + len(gold) and stop > begin
        text = shown.text(first, last)
        assert decoded(row, windows, index) == text
        is_given |= text == gold
    found = exactness([row], windows, tokenizer, 1000)
    assert found.count == (not is_given)
    # What is counted has no span at all.
    spans = [
        windows.text(i, context, tokenizer).span_of(begin, begin + len(gold))
        for i in range(len(windows))
    ]
    assert is_given or not gold or spans == [None] * len(windows)
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    count = sum(i in special for i in windows.input_ids.tolist())
    assert count == len(windows) * tokenizer.num_special_tokens_to_add(pair=True)


# Each begins and ends with a letter, a digit or a sign, and perhaps marks.
WORDS = st.sampled_from(
    [
        *("Ana", "12", "cafe\u0301", "e\u0301\u0301", "No\u0308el", "Vie\u0323\u0302t", "seven's", "(a)"),
        *("\u0939\u093f\u0928\u094d\u0926\u0940", "\u0643\u062a\u0628\u0651\u064e", "\u0e21\u0e32"),
        *("\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd", "\u1781\u17d2\u1798\u17c2\u179a", "\u5c40\u3002"),
        *("\U0001f468\u200d\U0001f469", "\U0001f44d\U0001f3fd", "\u0130x", "\ufb01sh", "[SEP]", "</s>"),
    ]
)  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
@given(words=st.lists(WORDS, min_size=1, max_size=12), data=st.data())
def test_an_answer_between_blanks_is_always_given_exactly(family, words, data):
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, len(words) - 1))
    answer = " ".join(words[first : last + 1])
    begin = len(" ".join(words[:first])) + (first > 0)
    row = row_of(" ".join(words), answer, begin=begin)
    windows = make_windows([row], tokenizer_of(family), 200, 6)
    assert labels_of(row, tokenizer_of(family)) == [answer]
    assert decoded(row, windows, 0) == answer
    assert exactness([row], windows, tokenizer_of(family), 500).count == 0
