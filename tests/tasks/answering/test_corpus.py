import re
from collections import Counter
from dataclasses import replace

import pytest

from qa_research.tasks.answering.corpus import ASIDES, KINDS, SUBJECTS, Corpus, generate, guessing
from qa_research.tasks.answering.data import BuiltinData
from qa_research.tasks.answering.question import find_bad_rows
from tests.tasks.answering.test_data import SETTINGS


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate(0)


def kind_of_question(text: str) -> str:
    """Which kind of fact a question asks for, from its wording alone."""
    for name, kind in KINDS.items():
        for template in kind.questions:
            pattern = re.escape(template).replace(r"\{s\}", "(" + "|".join(SUBJECTS) + ")")
            if re.fullmatch(pattern, text):
                return name
    raise AssertionError(text)


def test_the_corpus_has_the_promised_size_and_half_of_it_is_match(corpus):
    assert (len(corpus.train), len(corpus.validation)) == (20_000, 1_000)
    assert Counter(row.kind for row in corpus.validation) == {"match": 500, "lookup": 500}


def test_every_answer_stands_at_its_offset(corpus):
    assert find_bad_rows(corpus.train + corpus.validation) == []


def test_no_context_is_in_both_splits(corpus):
    assert not {r.context for r in corpus.train} & {r.context for r in corpus.validation}


def test_equal_seeds_give_equal_corpora_and_others_do_not(corpus):
    assert generate(0).validation == corpus.validation
    assert generate(1).validation != corpus.validation


def test_lookup_has_one_candidate_and_match_at_least_three(corpus):
    for row in corpus.validation:
        values = KINDS[kind_of_question(row.question)].values
        # Longest first, so that "6 pupils" is not found within "16 pupils".
        pattern = r"\b(" + "|".join(sorted(map(re.escape, values), key=len, reverse=True)) + r")\b"
        candidates = re.findall(pattern, row.context)
        assert row.answers[0].text in candidates
        if row.kind == "lookup":
            assert len(candidates) == 1
        else:
            assert len(set(candidates)) == len(candidates) >= 3


def test_a_notice_has_three_to_six_facts_about_different_subjects(corpus):
    for row in corpus.validation:
        context = row.context
        for aside in ASIDES:
            context = context.replace(aside, "")
        found = re.findall("|".join(rf"\b{s}\b" for s in SUBJECTS), context, re.IGNORECASE)
        assert 3 <= len(found) <= 6
        assert len({s.lower() for s in found}) == len(found)


def test_the_score_of_guessing_is_the_mean_over_candidates(corpus):
    assert corpus.guessing["lookup"] == 100
    assert 20 < corpus.guessing["match"] < 100 / 3 + 1e-9
    mean = (corpus.guessing["match"] + 100) / 2
    assert corpus.guessing["all"] == pytest.approx(mean)


def test_guessing_is_of_the_questions_whose_scores_are_told():
    changes = {"train_questions": 10, "on_bad_rows": "error"}
    data = BuiltinData(**SETTINGS | changes | {"choosing_share": 0.2})
    data.load()
    assert len(data.fresh) == 800 and not data.choosing & {row.id for row in data.fresh}
    assert data.guessing == guessing(data.fresh, data.chances)
    assert data.guessing["match"] != generate(data.seed).guessing["match"]
    ten = BuiltinData(**SETTINGS | changes | {"validate_on_train": True})
    ten.load()
    chances = [ten.chances[row.id] for row in ten.train]
    assert ten.guessing["all"] == pytest.approx(100 * sum(chances) / 10)
    assert guessing([replace(data.train[0], id="of a file")], data.chances) == {}


def test_facts_and_questions_come_in_several_phrasings(corpus):
    for kind in KINDS.values():
        assert len(kind.statements) >= 4 and len(kind.questions) >= 4
    asked = Counter(kind_of_question(row.question) for row in corpus.validation)
    assert set(asked) == set(KINDS)


def test_a_few_contexts_are_long(corpus):
    share = sum(len(row.context.split()) > 110 for row in corpus.train) / len(corpus.train)
    assert 0.01 < share < 0.03
