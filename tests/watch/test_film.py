from dataclasses import replace

import numpy as np
import pytest

from qa_research.watch.film import make_film
from qa_research.watch.page import film_data
from qa_research.watch.story import films_without_attention, hardest_learned
from tests.watch.recordings import describe, make_attention, make_heads, make_logits, true_span

STEPS = [0, 10, 20, 30, 40]
ROWS = [describe(), describe("What is the fee for group Y in all?", "8 crowns", number=1)]


def film_of(index=0, rows=ROWS, jump=20, **groups):
    return make_film(rows[index], index, make_logits(rows, STEPS, jump), **groups)


def test_probabilities_are_shares_of_the_windows_own_tokens():
    logits = make_logits(ROWS, STEPS, 20)
    film = make_film(ROWS[0], 0, logits)
    n = len(ROWS[0]["tokens"])
    assert logits.sizes["token"] > len(ROWS[1]["tokens"]) > n
    scores = np.exp(logits["logit"].sel(row="end").to_numpy()[:, 0, :n].astype(float))
    np.testing.assert_allclose(film.end, scores / scores.sum(axis=1, keepdims=True))
    assert film.start.shape == (len(STEPS), n)


def test_a_film_says_what_was_recorded_of_its_own_question():
    logits = make_logits(ROWS, STEPS, 20)
    film = make_film(ROWS[1], 1, logits)
    own = logits.isel(question=1)
    assert film.question == ROWS[1]["question"] and film.true_texts == ("8 crowns",)
    assert film.text.text(*film.truth) == "8 crowns" and film.truth == true_span(ROWS[1])
    np.testing.assert_array_equal(film.loss, own["loss"])
    np.testing.assert_array_equal(film.answers, own["answer"])
    np.testing.assert_array_equal(film.rank, own["rank"])
    np.testing.assert_array_equal(film.right, own["exact_match"] == 1)
    np.testing.assert_array_equal(film.answer_probability, own["answer_probability"])
    np.testing.assert_array_equal(film.true_probability, own["probability"])


@pytest.mark.parametrize(
    "context", [ROWS[0]["context"], "  Ünïted — Mr  Birch\nled it. \U0001f6f6 "]
)
def test_the_pieces_of_a_film_are_the_whole_context_in_order(context):
    row = describe(context=context, answer=None)
    film = film_of(rows=[row])
    pieces = film.text.context_pieces()
    assert "".join(text for text, _ in pieces) == context
    own = {token: text for text, token in pieces if token is not None}
    assert list(own) == film.text.context_tokens
    assert all(text.lower() == film.text.tokens[i].removeprefix("##") for i, text in own.items())


@pytest.mark.parametrize(
    ("right", "first", "settled", "opening", "sentence"),
    [
        ("00000", None, None, 4, "the answer is wrong at every captured step"),
        ("11111", 0, 0, 4, "the answer is right at every captured step"),
        ("00011", 3, 3, 3, "the answer is right at every captured step from 30 on"),
        (
            "01011",
            1,
            3,
            3,
            "the answer is right at every captured step from 30 on, and first right at step 10",
        ),
        (
            "01110",
            1,
            None,
            1,
            "the answer is first right at step 10, but wrong at the last captured one",
        ),
    ],
)
def test_the_moment_the_answer_becomes_right(right, first, settled, opening, sentence):
    film = replace(film_of(), right=np.array([mark == "1" for mark in right]))
    assert (film.first_right, film.settled, film.outcome) == (first, settled, sentence)
    assert film.opening == film_data(film)["opening"] == opening


def test_a_film_of_no_answer_has_no_true_text():
    film = film_of(rows=[describe(answer=None)])
    assert film.truth == (0, 0) and film.text.text(0, 0) == "" and film.true_texts == ()


def test_a_diverged_training_stays_visible_and_is_still_json():
    logits = make_logits(ROWS, STEPS, 20)
    diverged = logits["step"] >= 30
    for name in ("logit", "loss", "probability", "answer_probability"):
        logits[name] = logits[name].where(~diverged)
    logits["logit"][2, 0, 0, 3] = np.inf
    data = film_data(make_film(ROWS[0], 0, logits))
    assert data["start"][4] == data["start"][2] == [None] * len(ROWS[0]["tokens"])
    assert data["loss"]["end"][3:] == data["true_probability"][3:] == [None, None]
    assert None not in data["end"][2]


def test_the_json_says_the_films_numbers():
    attention = make_attention(ROWS, STEPS, [0, 3], 2)
    film = film_of(1, attention=attention, heads=make_heads(attention))
    data = film_data(film)
    np.testing.assert_allclose(data["start"], film.start, atol=5.1e-6)
    np.testing.assert_allclose(data["end"], film.end, atol=5.1e-6)
    np.testing.assert_allclose(data["loss"]["end"], film.loss[:, 1], atol=5.1e-6)
    np.testing.assert_allclose(data["answer_probability"], film.answer_probability, atol=5.1e-6)
    assert data["steps"] == STEPS and data["truth"] == list(film.truth)
    last = data["answers"][-1]
    assert last == {
        "first": film.truth[0],
        "last": film.truth[1],
        "text": "8 crowns",
        "right": True,
        "rank": 1,
    }
    assert (
        data["settled"] == film.settled
        and "".join(t for t, _ in data["segments"]) == film.text.context
    )
    assert data["heads"]["layers"] == data["attention"]["layers"] == [0, 3]
    np.testing.assert_allclose(data["heads"]["entropy"], film.heads.entropy, atol=5.1e-6)


class Recorded:
    """Of a recording, what choosing a question needs."""

    recorders = ("logits",)
    path = "recording.zarr"
    outputs = None

    def __init__(self, rows, logits):
        self.questions = rows
        self.logits = logits

    def read(self, _):
        return self.logits


def test_the_question_shown_first_is_the_one_that_took_longest():
    rows = [
        describe(number=i) | {"split": split}
        for i, split in enumerate(["train"] + ["validation"] * 3)
    ]
    logits = make_logits(rows, STEPS, 20)
    right = [[0, 0, 0, 0, 1], [0, 1, 1, 0, 1], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]]
    # The second wavered once at the end; the third was learned last; the first is of training.
    true = [[0.0] * 4 + [1.0], [0.1, 0.9, 0.9, 0.4, 0.9], [0.1, 0.1, 0.9, 0.9, 0.9], [0.0] * 5]
    logits["exact_match"][:] = np.array(right).T
    logits["probability"][:] = np.array(true).T
    assert hardest_learned(films_without_attention(Recorded(rows, logits))) == 2
    logits["exact_match"][:] = 0
    assert hardest_learned(films_without_attention(Recorded(rows, logits))) == 1
    logits["exact_match"][:, 0] = [0, 1, 1, 1, 1]
    assert hardest_learned(films_without_attention(Recorded(rows, logits))) == 0
