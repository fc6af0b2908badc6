"""Which questions version 0.2 made other windows of."""

from qa_research.tasks.answering.corpus import generate
from qa_research.tasks.answering.earlier_windows import made_otherwise
from qa_research.tasks.answering.question import Gold, Question
from qa_research.tasks.answering.windows import make_windows
from tests.tasks.answering.families import tokenizer_of


def test_the_built_in_questions_are_labelled_as_before(tokenizer):
    rows = generate(0).train[:400]
    windows = make_windows(rows, tokenizer, 64, 16)
    assert made_otherwise(rows, windows, tokenizer, 64, 16) == []


def test_answers_with_blanks_around_and_special_tokens_are_found():
    tokenizer = tokenizer_of("wordpiece")
    context = "It is kept by Ana Torres since May."
    asked = [("plain", "Ana Torres"), ("blank", "Ana Torres "), ("none", None)]
    rows = [
        Question(
            name,
            "",
            context,
            "Who?",
            () if text is None else (Gold(text, context.index(text)),),
            "who",
        )
        for name, text in asked
    ]
    rows.append(Question("special", "", f"{context} [SEP]", "Who?", (), "who"))
    windows = make_windows(rows, tokenizer, 100, 16)
    assert made_otherwise(rows, windows, tokenizer, 100, 16) == ["blank", "special"]
