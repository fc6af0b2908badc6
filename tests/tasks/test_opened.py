"""A run's own examples: drawn, found by id, and each split read only once."""

from pathlib import Path

import numpy as np
import pytest
from torch import nn

from qa_research.tasks.opened import Examples, Opened, OwnExamples, Told

SPLITS = {"validation": "abcdefgh", "train": "ijkl"}


class Letters(Opened):
    """Letters, vowels and consonants; `a` and `b` chose the best weights. Notes which splits are read."""

    asked_with = ("letter",)
    examples = "letters"

    def own(self, split):
        self.record["read"].append(split)
        choosing = frozenset("ab") if split == "validation" else frozenset()
        return Examples(SPLITS[split], "letters", split, choosing)

    def of_file(self, path, encoding):
        return Examples(Path(path).read_text(encoding=encoding), path, "file")

    def example(self, given):
        return given["letter"]

    def told(self, row):
        return Told(row, row, (row,), "vowel" if row in "aeiou" else "consonant")

    def rows(self, examples):
        return [{"id": row, "prediction": row} for row in examples]


@pytest.fixture
def letters(tmp_path):
    return Letters(
        directory=tmp_path,
        checkpoint=tmp_path / "best.ckpt",
        step=None,
        config={},
        record={"read": []},
        name="a run",
        results=tmp_path,
        is_run=True,
        network=nn.Linear(1, 1),
    )


def test_each_split_is_read_once_and_only_when_it_is_needed(letters):
    own, read = OwnExamples(letters), letters.record["read"]
    assert [own.by_id(one) for one in "abc"] == ["a", "b", "c"] and read == ["validation"]
    assert [own.by_id(one) for one in "kl"] == ["k", "l"] and read == ["validation", "train"]
    own.drawn(2, np.random.default_rng(0))
    assert own.train.split == "train" and read == ["validation", "train"]


def test_an_id_of_none_is_refused_in_the_words_of_its_option(letters):
    for one in (letters, OwnExamples(letters)):
        with pytest.raises(ValueError, match="--asked z is the id of none of the run's letters$"):
            one.by_id("z", "--asked")


def test_those_that_are_drawn_chose_nothing_and_are_in_their_own_order(letters):
    own = OwnExamples(letters)
    for seed in range(5):
        drawn = own.drawn(3, np.random.default_rng(seed))
        assert drawn == letters.drawn(3, np.random.default_rng(seed))
        rows, note = drawn
        assert len(rows) == 3 and rows == sorted(rows) and not {*rows} & {*"ab"} and not note
    assert own.drawn(9, np.random.default_rng(0), ["vowel"]) == (["e"], "")
    with pytest.raises(ValueError, match=r"of the kind 'vowl'; did you mean vowel\?"):
        own.drawn(9, np.random.default_rng(0), ["vowl"])
