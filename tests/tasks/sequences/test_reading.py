"""Sequences are read from text, or refused with file and line."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qa_research.tasks.dividing import linked
from qa_research.tasks.sequences.sequence import (
    checked_letters,
    one_hot,
    read_sequences,
    windows_of,
)

GOOD = {
    "commas": "sequence,label,expression\nacgt,1.5,9\nNNa,-2,8\n",
    "tabs": "label\tsequence\n1.5\tACGT\n-2\tnna\n",
    "blanks": "acgt 1.5\n\nnna   -2\n",
    "quotes": '"sequence","label"\r\n"acgt","1.5"\r\n"nna","-2"\r\n',
}


def read(tmp_path, text: str, **options):
    path = tmp_path / "some.csv"
    path.write_text(text, newline="")
    return read_sequences(str(path), "data.train_path", "utf-8", 8, "t", **options)


@pytest.mark.parametrize("name", GOOD)
def test_columns_may_stand_between_commas_tabs_and_blanks(tmp_path, name):
    rows = read(tmp_path, GOOD[name])
    assert [(row.letters, row.label) for row in rows] == [("acgt", 1.5), ("nna", -2.0)]
    assert len({row.id for row in rows}) == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("sequence,label\n", "has a header and no sequences"),
        (
            "sequence,label\nacgt,1\nacgt\n",
            "line 3 has 1 column, and the first line has 2 (sequence, label)",
        ),
        ("sequence,label\nacgt,1,2\n", "line 2 has 3 columns, and the first line has 2"),
        ("acgt 1\nacgt 1 2\n", "line 2 has 3 columns, and the first line has 2"),
        ("sequence,label\nacgt,high\n", "line 2: the label is 'high'; expected a finite number"),
        ("sequence,label\nacgt,nan\n", "line 2: the label is 'nan'; expected a finite number"),
        ("sequence,label\nacgt,-inf\n", "line 2: the label is '-inf'; expected a finite number"),
        ("sequence,label\nacgt,\n", "line 2: the label is ''; expected a finite number"),
        ("sequence,label\n,1\n", "line 2: an empty sequence"),
        ("sequence,label\nacgx,1\n", "line 2: letter 4 of the sequence is 'x'"),
        ("acgt 1\nac-t 2\n", "line 2: letter 3 of the sequence is '-'"),
        (
            "sequence,label\nacgtacgta,1\n",
            "line 2: a sequence of 9 letters, and the model reads at",
        ),
        (
            "sequence,score\nacgt,1\n",
            "line 1 names no column 'label': found 'sequence', 'score'; expected",
        ),
        (
            "seq,label\nacgt,1\n",
            "line 1 names no column 'sequence': found 'seq', 'label'; expected",
        ),
        (
            "seq,score\nacgt,1\n",
            "line 1: letter 1 of the sequence is 's'; expected a, c, g, t or n, in ",
        ),
        (
            "seq,score\nacgt,1\n",
            "the first line names no columns: expected a first line that names",
        ),
        ("label,sequence,label\n1,acgt,1\n", "line 1 names the column 'label' 2 times"),
        ("acgt\n", "line 1 has no column 'label': found 'sequence'; expected a first line"),
    ],
)
def test_what_cannot_be_read_is_refused_by_line(tmp_path, text, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as refused:
        read(tmp_path, text)
    assert str(refused.value).startswith(f"data.train_path={tmp_path / 'some.csv'}")


def test_labels_are_needed_only_where_something_is_learned(tmp_path):
    for text in (
        "sequence\nacgt\n",
        "acgt\n",
        "sequence,label\nacgt,\n",
        "label\tsequence\n\tacgt\n",
    ):
        (row,) = read(tmp_path, text, needs_labels=False)
        assert row.letters == "acgt" and row.label is None
    first, second = read(tmp_path, "sequence,label\nacgt,\nacgt,2\n", needs_labels=False)
    assert (first.label, second.label) == (None, 2.0)
    with pytest.raises(ValueError, match="line 2: the label is 'high'"):
        read(tmp_path, "sequence,label\nacgt,high\n", needs_labels=False)


def test_a_missing_file_is_said():
    with pytest.raises(FileNotFoundError, match=r"data.train_path=none.csv does not exist"):
        read_sequences("none.csv", "data.train_path", "utf-8", 8, "t")


def test_letters_become_units_and_n_and_padding_none():
    vectors, mask = one_hot(["an", "c"])
    assert vectors.tolist() == [[[1, 0, 0, 0], [0] * 4], [[0, 1, 0, 0], [0] * 4]]
    assert mask.tolist() == [[True, True], [True, False]]


@pytest.mark.hypothesis
@given(st.lists(st.text("acgtn", min_size=1, max_size=9), min_size=1, max_size=5))
def test_one_hot_is_read_back(sequences):
    vectors, mask = one_hot(sequences)
    known = vectors.sum(dim=-1)
    assert bool((known <= mask).all())
    for row, letters in enumerate(sequences):
        found = ["acgt"[int(v.argmax())] if v.any() else "n" for v in vectors[row, mask[row]]]
        assert "".join(found) == letters
    assert torch.equal(mask.sum(dim=1), torch.tensor([len(s) for s in sequences]))


def test_what_is_shifted_is_linked_and_nothing_else():
    base = "acgttgcaacgtacctgatg"
    shifted = ["gg" + base[:-2], base[3:] + "ttt"]
    other = "ttttgggcccaaatttgcgc"
    texts = [base, *shifted, other]
    assert linked([windows_of(text, 3) for text in texts]) == [0, 0, 0, 3]
    assert linked([windows_of(text, 1) for text in texts]) == [0, 1, 2, 3]


@pytest.mark.hypothesis
@given(st.text(max_size=12))
def test_any_text_is_letters_or_refused(text):
    letters = text.strip().lower()
    if 0 < len(letters) <= 8 and set(letters) <= set("acgtn"):
        assert checked_letters(text, "here", 8) == letters
    else:
        with pytest.raises(ValueError, match="here: "):
            checked_letters(text, "here", 8)
