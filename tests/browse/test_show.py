from dataclasses import replace

import pytest

from qa_research.browse.catalogue import hit_in
from qa_research.browse.overview import overview, show_overview
from qa_research.browse.show import context_marks, show_hits, show_question
from qa_research.browse.view import GoldText, QuestionView, RunAnswer, fit, gold_texts
from qa_research.tasks.answering.question import Gold, Question

CONTEXT = "Ms Lund teaches chess. Dr Obi and Ms Lund lead judo."
GOLDS = (Gold("Ms Lund", 0), Gold("Lund", 3), Gold("Ms Lund", 34))
ROW = Question("q7", "Notice", CONTEXT, "Who teaches chess?", GOLDS, "who")


def viewed(row: Question = ROW, **more: object) -> QuestionView:
    plain = QuestionView("dev.json", 7, 9, row, (), None, None, None, None)
    return replace(plain, **more)


def answered(begin: int, end: int, right: float = 0.0) -> RunAnswer:
    text = CONTEXT[begin:end]
    return RunAnswer("tiny-s1", "best", text, 0.25, 3.5, begin, end, right, right)


@pytest.fixture
def shown(capsys):
    """The lines that showing a question prints."""

    def show(view: QuestionView) -> list[str]:
        show_question(view)
        return capsys.readouterr().out.splitlines()

    return show


def test_gold_texts_are_counted_with_their_places():
    assert gold_texts(ROW) == [GoldText("Ms Lund", 2, (0, 34)), GoldText("Lund", 1, (3,))]


def test_a_question_is_shown_with_its_answers_marked(shown):
    assert shown(viewed()) == [
        "7  q7   dev.json, 0 to 8",
        "",
        "Who teaches chess?",
        "",
        "[[Ms Lund]] teaches chess. Dr Obi and [[Ms Lund]] lead judo.",
        "",
        "title    Notice",
        "kind     who",
        "answers  [[Ms Lund]]   (given 2 times, characters 0 to 7 and 34 to 41)",
        "         [[Lund]]   (given once, characters 3 to 7)",
    ]


def test_what_is_not_there_is_not_marked():
    wrong = replace(ROW, answers=(Gold("Ms Lund", 1), Gold("Obi", -1), Gold("chess", 16)))
    assert [(mark.begin, mark.end) for mark in context_marks(wrong, None)] == [(16, 21)]


def test_an_unanswerable_question_and_a_fault_are_shown(shown):
    lines = shown(viewed(replace(ROW, answers=()), fault="its id stands twice", same_id=(3, 5)))
    assert "answers  none: the context does not answer it" in lines
    assert "fault    its id stands twice" in lines
    assert "same id  also at 3, 5" in lines


def test_a_runs_answer_is_marked_and_judged(shown):
    lines = shown(viewed(answered=answered(3, 15)))
    assert "[[Ms {{Lund]] teaches}} chess. Dr Obi and [[Ms Lund]] lead judo." in lines
    assert lines[-3:] == [
        "run         tiny-s1 (best)",
        "its answer  {{Lund teaches}}   (probability 0.250, score 3.50, characters 3 to 15)",
        "            wrong: exact match 0, F1 0.00",
    ]
    assert "right: exact match 1" in shown(viewed(answered=answered(0, 7, 1.0)))[-1]
    lines = shown(viewed(answered=answered(0, 0)))
    assert "its answer  no answer in this text   (probability 0.250, score 3.50)" in lines


def test_windows_say_which_of_them_holds_the_answer(shown, tokenizer):
    def last(row: Question, size: int) -> str:
        lines = shown(viewed(row, tokenizer="tiny", fit=fit(row, tokenizer, size, 4)))
        return next(line for line in lines if line.startswith("windows"))

    assert last(ROW, 128).endswith("the first answer is wholly in window 1")
    assert "3 of at most 16 tokens that share 4; " in last(ROW, 16)
    whole = replace(ROW, answers=(Gold(CONTEXT, 0),))
    assert last(whole, 16).endswith("not wholly in any window: it cannot be predicted exactly")
    assert last(replace(ROW, answers=()), 24).endswith("there is no answer to hold")
    assert "there is room for" in last(ROW, 10)
    lines = shown(viewed(tokenizer="tiny", fit=fit(ROW, tokenizer, 16, 4)))
    assert lines[-3].startswith("         1: characters 0 to ")


def test_hits_are_a_line_each_with_the_match_marked(capsys):
    rows = {3: ROW, 11: replace(ROW, id="longer", question="Who\nteaches it?")}
    hits = [hit_in(i, row, "CHESS", None) for i, row in rows.items()]
    show_hits(
        [*hits, hit_in(12, ROW, "obi", None), hit_in(13, ROW, "lund", "answer")], 0, 8, "more"
    )
    assert capsys.readouterr().out.splitlines() == [
        " 3  q7      Who teaches [[chess]]?  (question and context)",
        "11  longer  Who teaches it?  (context: Ms Lund teaches [[chess]]. Dr Obi and Ms Lund lead judo.)",
        "12  q7      Who teaches chess?  (context: Ms Lund teaches chess. Dr [[Obi]] and Ms Lund lead judo.)",
        "13  q7      Who teaches chess?  (answer: Ms [[Lund]])",
        "hits 1 to 4 of 8; more",
    ]
    show_hits(hits[:1], 0, 1, "more")
    assert capsys.readouterr().out.splitlines()[-1] == "1 hit"


def test_a_long_context_is_abridged_around_its_first_match(capsys):
    long = replace(ROW, context="word " * 50 + "Chess\nhere " + "word " * 50, answers=())
    show_hits([hit_in(0, long, "chess", "context")], 0, 1, "")
    line = capsys.readouterr().out.splitlines()[0]
    assert "(context: ...word" in line and " [[Chess]] here word" in line and line.endswith("...)")
    assert len(line) < 180


def test_an_overview_has_a_table_and_says_what_is_wrong(capsys, questions):
    spoiled = replace(questions[0], id="bad", answers=(Gold("Ms Lund", 4),))
    rows = [*questions, spoiled, replace(questions[1], id="none", answers=())]
    show_overview(overview(rows, lambda texts: [7] * len(texts)), "dev.json", "tiny")
    out = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "dev.json: 10 questions, 2 contexts, 1 title"
    assert "length of in min median mean 95 % max" in lines
    assert "tokens 7 7.0 7.0 7 7" in lines
    assert "unanswerable 1 (10.0 %)" in lines
    assert "gold answers 0 for 1 question, 1 for 9 questions" in lines
    assert "question: 2, in 4 questions" in lines
    assert "misplaced 1 question with an answer not at its offset" in lines
    assert any(line.startswith("unusable 1 question: bad: answer 'Ms Lund'") for line in lines)
