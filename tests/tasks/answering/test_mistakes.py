"""Wrong answers: which, in which order, and how they read."""

import csv
import io

from rich.cells import cell_len

from qa_research.tasks.answering.evaluation import evaluate
from qa_research.tasks.answering.mistakes import WIDTH, mistakes_csv, show_mistakes
from tests.hostile import HOSTILE
from tests.tasks.answering.answered import answer_to, question_with


def sure(identity: str, text: str, probability: float):
    answer = answer_to(identity, text)
    return type(answer)(identity, text, probability, 0, len(text), -1.0, answer.candidates)


def found_among(*pairs, choosing=frozenset()):
    questions, answers = zip(*pairs, strict=True)
    return evaluate(questions, answers, choosing).mistakes


def test_the_most_confident_mistake_comes_first_and_right_answers_are_none():
    mistakes = found_among(
        (question_with("cat", identity="right"), sure("right", "the cat", 0.9)),
        (question_with("red cat", identity="partly"), sure("partly", "cat", 0.4)),
        (question_with("cat", "a cat", "cat", identity="sure"), sure("sure", "dog", 0.8)),
        choosing=frozenset({"sure"}),
    )
    assert [(m.id, m.given, m.chose) for m in mistakes] == [
        ("sure", "dog", True),
        ("partly", "cat", False),
    ]
    assert mistakes[0].expected == ("cat", "a cat")
    assert (mistakes[1].exact_match, round(mistakes[1].f1, 3)) == (0.0, 0.667)


def test_no_answer_is_put_in_words_where_one_was_expected_or_given(capsys):
    mistakes = found_among(
        (question_with(identity="none"), sure("none", "cat", 0.6)),
        (question_with("cat", identity="some"), sure("some", "", 0.5)),
    )
    show_mistakes(mistakes, 1)
    said = capsys.readouterr().out
    assert "the 1 most confident of 2 wrong answers" in said
    assert "expected    (no answer)" in said and "given       cat" in said
    show_mistakes(mistakes[1:], 9)
    assert "given       (no answer)" in capsys.readouterr().out
    rows = list(csv.DictReader(io.StringIO("".join(mistakes_csv(mistakes)))))
    assert [(row["expected"], row["given"]) for row in rows] == [("", "cat"), ("cat", "")]


def test_hostile_and_long_texts_are_disarmed_and_stay_within_the_width(capsys):
    texts = [*HOSTILE.values(), "wide 漢字" * 60, "word " * 60]
    pairs = [
        (question_with(f"gold {text}", identity=str(i)), sure(str(i), f"{text} no", 0.5))
        for i, text in enumerate(texts)
    ]
    mistakes = found_among(*pairs)
    show_mistakes(mistakes, len(texts))
    said = capsys.readouterr().out
    assert "\x1b" not in said and len(mistakes) == len(texts)
    assert max(cell_len(line) for line in said.split("\n")) <= WIDTH
    rows = list(csv.DictReader(io.StringIO("".join(mistakes_csv(mistakes)), newline="")))
    assert [row["given"] for row in rows] == [f"{text} no" for text in texts]
