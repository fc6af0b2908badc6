from qa_research.tasks.answering.evaluation import evaluate, show_evaluation
from qa_research.tasks.answering.shown import show_answer
from tests.conftest import make_question
from tests.tasks.answering.answered import answer_to


def test_an_answer_is_shown_with_its_place_and_candidates(capsys):
    show_answer(answer_to("q", "Ms Lund"), "Ms Lund teaches [chess].", 5)
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "Ms Lund   (probability 0.750, characters 0 to 7)"
    assert "Ms Lund teaches [chess]." in out and "1. 0.750  Ms Lund" in out


def test_no_answer_is_put_in_words(capsys):
    show_answer(answer_to("q", ""), "Some text.", 5)
    assert "no answer in this text" in capsys.readouterr().out


def test_answerable_and_unanswerable_questions_are_shown_separately(capsys):
    rows = [make_question(0, "Who?", "Ms Lund"), make_question(1, "Why?", None)]
    result = evaluate(rows, [answer_to("q0", "Ms Lund"), answer_to("q1", "", odds=2.0)])
    show_evaluation(result)
    out = capsys.readouterr().out
    assert (
        "HasAns" in out
        and "NoAns" in out
        and "best F1 over all null thresholds, chosen on these questions: 100.0" in out
    )
    # Two right answers about one paragraph say little about others.
    low, high = result.as_json()["exact_match_95"]
    assert 2 < low < 3 and high == 100
    assert "paragraphs are resampled: the intervals are" in out
    assert result.as_json()["paragraphs"] == 1
