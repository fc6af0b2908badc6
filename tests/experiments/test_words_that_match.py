import re

import pytest

from experiments.words_that_match.roles import rival, roles
from qa_research.explain.words.text import Text, Word
from qa_research.tasks.answering.question import Gold, Question

CONTEXT = (
    "Dogs stay at home, even small ones. Come to the attic for group K. Group Q meets in the cellar. "
    "The place for group T is the tower. Group D is on Friday."
)
DRAW = (1, "test", 0)


def read(question, answer):
    """A question about CONTEXT with its words, as a tokenizer of whole words reads it."""
    found = []
    for part, source in (("question", question), ("context", CONTEXT)):
        for place in re.finditer(r"\w+|[^\w\s]", source):
            number = len(found)
            found.append(Word(place[0], part, place.start(), place.end(), number, number))
    gold = Gold(answer, CONTEXT.index(answer))
    row = Question("1", "Notice", CONTEXT, question, (gold,), "match")
    return Text(question, CONTEXT, tuple(found), {}, 0, 1), row


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Where do I go for group Q?", ["Where", "do", "I", "go", "for"]),
        ("Where does group Q meet?", ["Where", "does", "meet"]),
    ],
)
def test_the_letter_is_the_word_after_group_not_a_pronoun(question, kind):
    text, row = read(question, "the cellar")
    found = {
        role: [text.words[number].text for number in numbers]
        for role, numbers in roles(text, row, DRAW).items()
    }
    assert found["kind"] == kind
    assert found["asked letter"] == found["stated letter"] == ["Q"]
    assert found["both letters"] == ["Q", "Q"]
    assert found["other letter"][0] in {"K", "T", "D"}
    assert found["sentence word"][0] in {"meets", "in"}
    assert len(found["as many words"]) == len(kind)
    assert not {"Q", "the cellar", "cellar"} & set(found["as many words"])


def test_a_rival_is_another_value_of_the_kind_with_its_own_letter():
    text, row = read("Where do I go for group Q?", "the cellar")
    seen = set()
    for number in range(20):
        other = rival(text, row, (1, "test", number))
        words = [text.words[token].text for token in range(other.first, other.last + 1)]
        seen.add((" ".join(words), text.words[other.letter].text))
    assert seen == {("the attic", "K"), ("the tower", "T")}
