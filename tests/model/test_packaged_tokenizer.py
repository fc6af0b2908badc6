from dataclasses import fields

import numpy as np
import pytest

from qa_research.model.tokenizer import load_tokenizer, packaged_tokenizer
from qa_research.model.weights import PACKAGED
from qa_research.tasks.answering.corpus import generate
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.windows import make_windows

ODD = Question(
    "odd", "", "  Ünïcode\tnaïve 東京\u200b \u2028 e\u0301 don't, $5!", " Wo?\n", (), "other"
)


@pytest.mark.parametrize("window", [(128, 32), (48, 20), (24, 3)])
def test_it_cuts_the_same_windows_as_the_one_that_trainings_load(window):
    mine = packaged_tokenizer()
    assert mine is not None
    theirs = load_tokenizer(PACKAGED, "model.tokenizer")
    rows = [*generate(0).validation[:60], ODD]
    one, other = make_windows(rows, mine, *window), make_windows(rows, theirs, *window)
    for field in fields(one):
        assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name
    texts = [row.context for row in rows]
    assert (
        mine(texts, add_special_tokens=False)["input_ids"]
        == theirs(texts, add_special_tokens=False)["input_ids"]
    )


def test_without_the_package_there_is_none(monkeypatch):
    monkeypatch.setattr("qa_research.model.tokenizer.PACKAGED", "package:no_such_package/model")
    assert packaged_tokenizer() is None
