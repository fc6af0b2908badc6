"""Counterparts of built-in questions: the same but for a letter, and for the right answer."""

from dataclasses import replace

from qa_research.tasks.answering.corpus import KINDS, asked_for, generate
from qa_research.tasks.answering.counterparts import counterpart, stated_facts
from qa_research.tasks.answering.question import is_at_offset
from tests.conftest import make_question

NOTICE = "Group B meets in the barn. All are welcome. The place for group K is the attic."


def test_every_fact_of_a_kind_is_found_in_every_notice():
    corpus = generate(3)
    for row in corpus.validation:
        facts = stated_facts(row.context, asked_for(row.question))
        assert len(facts) == round(1 / corpus.chances[row.id])
        assert len({fact.subject for fact in facts}) == len(facts)
        gold = row.answers[0]
        asked = [fact for fact in facts if fact.subject in row.question]
        assert [(fact.value, fact.start) for fact in asked] == [(gold.text, gold.start)]
    assert {asked_for(row.question) for row in corpus.validation} == set(KINDS)


def test_a_counterpart_differs_in_one_letter_and_in_its_answer():
    for row in generate(4).validation:
        other = counterpart(row, 1)
        assert (other is None) == (row.kind == "lookup")
        if other is None:
            continue
        letters = [a != b for a, b in zip(row.question, other.question, strict=True)]
        assert sum(letters) == 1 and other.context == row.context and other.id != row.id
        assert other.answers[0].start != row.answers[0].start
        assert is_at_offset(other.context, other.answers[0])


def test_it_is_drawn_with_the_seed_and_its_own_counterpart_leads_back():
    row = make_question(1, "Where does group B meet?", "the barn", NOTICE)
    other = counterpart(row, 1)
    assert (other.question, other.answers[0].text) == ("Where does group K meet?", "the attic")
    assert other.id == "q1, of group K"
    assert counterpart(other, 1).question == row.question
    many = generate(5).validation
    drawn = [[counterpart(row, seed) for row in many] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_other_questions_have_none():
    row = make_question(1, "Where does group B meet?", "the barn", NOTICE)
    assert counterpart(replace(row, question="Where does chess meet?"), 1) is None
    assert counterpart(replace(row, question="Where does group C meet?"), 1) is None
    assert counterpart(replace(row, context="Group B meets in the barn."), 1) is None
    assert counterpart(make_question(1, "Who teaches chess?", "Ms Lund"), 1) is None
