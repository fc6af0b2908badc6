"""The generated sequences are what their labels say."""

import numpy as np
import pytest

from qa_research.tasks.sequences.motifs import NOISE, PAIR, REPEATED, generate, label_of

ROWS = generate(0, "train", 400)


def test_the_label_follows_from_what_is_planted():
    noise = []
    for row in ROWS:
        first, second = sorted(PAIR, key=row.letters.index)
        gap = row.letters.index(second) - row.letters.index(first) - len(first)
        noise.append(row.label - label_of(first, gap, row.letters.count(REPEATED)))
    assert abs(np.mean(noise)) < NOISE / 4 and np.std(noise) == pytest.approx(NOISE, rel=0.15)


def test_planted_places_spell_the_motifs_and_no_other_place_does():
    for row in ROWS:
        count = 2 + row.letters.count(REPEATED)
        assert len(row.planted) == 6 * count
        blank = "".join("." if i in set(row.planted) else x for i, x in enumerate(row.letters))
        assert not any(motif in blank for motif in (*PAIR, REPEATED))
        assert all(row.letters.count(motif) == 1 for motif in PAIR)


def test_label_by_hand():
    assert label_of("acatgt", 4, 2) == pytest.approx(-0.4)
    assert label_of("ttgaca", 0, 1) == pytest.approx(1.0)


def test_it_is_the_same_again_and_other_for_another_seed_and_split():
    assert generate(0, "train", 400) == ROWS
    assert generate(1, "train", 400) != ROWS
    texts = {row.letters for row in ROWS}
    assert texts.isdisjoint(row.letters for row in generate(0, "validation", 400))


def test_both_motifs_of_the_pair_have_the_same_letters():
    assert sorted(PAIR[0]) == sorted(PAIR[1])
