"""Films of a pair and of a sequence: what the network says, its text with what is marked, page and strip."""

import json
import re

import numpy as np
import pytest

from qa_research.capture.recorders.attention import AttentionRecorder
from qa_research.capture.recorders.heads import HeadsRecorder
from qa_research.capture.recorders.outputs import OutputsRecorder
from qa_research.watch.example_strip import example_strip, received, runs
from qa_research.watch.page import example_data, example_page
from qa_research.watch.story import film_of, films_without_attention, to_show, watch_question
from tests.capture.examples import (
    Letters,
    pair_network,
    record_training,
    watched_letters,
    watched_pairs,
)


def recorders() -> dict:
    return {
        "outputs": OutputsRecorder(),
        "attention": AttentionRecorder(None, "float16"),
        "heads": HeadsRecorder(None),
    }


@pytest.fixture(scope="module")
def pairs(tokenizer, tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "recording.zarr"
    return record_training(
        pair_network(len(tokenizer)), watched_pairs(tokenizer), recorders(), path
    )


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    path = tmp_path_factory.mktemp("letters") / "recording.zarr"
    return record_training(Letters(), watched_letters(), recorders(), path)


def test_the_film_of_a_pair_is_what_was_recorded(pairs):
    outputs = pairs.read("outputs")
    film = film_of(pairs, 0)
    assert film.steps.tolist() == list(range(0, 21, 4)) and film.rows == ("different", "same")
    assert np.allclose(film.true_probability, outputs["probability"].isel(question=0))
    assert (film.right == (film.scores.argmax(axis=1) == 1)).all()
    assert [film.answer_text(i) for i in (0, -1)] == [
        film.rows[film.scores[i].argmax()] for i in (0, -1)
    ]
    assert film.question == "Ms Lund teaches chess. / Chess is taught by Ms Lund."
    data = example_data(film)
    assert "".join(text for text, _ in data["segments"]) == film.text
    assert {token for _, token in data["segments"] if token is not None} == {
        i for i, part in enumerate(film.parts) if part in ("first", "second")
    }
    json.dumps(data, allow_nan=False)


def test_the_film_of_a_sequence_has_its_number_and_its_motif(letters):
    film = film_of(letters, 0)
    assert film.is_number and film.settled is None and film.opening == len(film.steps) - 1
    assert film.true == 1 and film.text[film.marked[0] : film.marked[-1] + 1] == "gattaca"
    assert film.outcome.startswith("the prediction goes from")
    data = example_data(film)
    assert data["answers"][0]["right"] is None and data["marked"] == list(film.marked)
    assert abs(film.errors[-1]) < abs(film.errors[0])
    share = received(film.attention, 0)
    assert share.shape == (1, len(film.tokens)) and share.sum() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("name", ["pairs", "letters"])
def test_pages_hold_all_text_as_text_and_strips_are_drawn(name, request):
    recording = request.getfixturevalue(name)
    for i, film in enumerate(films_without_attention(recording)):
        page = example_page(film_of(recording, i), "study/<run>")
        assert "study/&lt;run&gt;" in page and "study/<run>" not in page
        found = re.search(r'<script type="application/json" id="film">(.*?)</script>', page, re.S)
        assert json.loads(found[1])["tokens"] == list(film.tokens)
        assert film.attention is None
        example_strip(film)
    example_strip(film_of(recording, 0))


def test_the_list_and_the_table_say_what_a_number_is_off_by(letters, tmp_path, capsys):
    from qa_research.watch.story import show_result

    result = watch_question(letters, None, "run", tmp_path / "films", None, every=True)
    page = result.index.read_text()
    assert "3 watched examples" in page and "prediction at step 20" in page
    assert "right since" not in page and page.count("off by") == 3
    assert len(result.pages) == 3 and all(path.is_file() for path in result.pages)
    assert result.questions[0].is_right is None and result.as_json()["questions"][0]["answer"]
    show_result(result)
    assert "prediction at step 20" in capsys.readouterr().out


def test_of_numbers_the_one_whose_error_fell_most_is_shown_first(letters):
    films = films_without_attention(letters)
    # s0 is the only one of validation.
    assert [film.split for film in films] == ["validation", "train", "train"]
    assert to_show(films) == 0
    fell = [abs(film.errors[0]) - abs(film.errors[-1]) for film in films]
    assert to_show(films[1:]) == int(np.argmax(fell[1:]))


def test_an_example_is_found_by_its_name_and_a_wrong_one_is_refused_in_its_words(letters):
    assert letters.find_question("s1") == 1
    with pytest.raises(ValueError, match="--example q9 was not watched; these were: s0, s1, s2"):
        letters.find_question("q9")


def test_a_recording_without_outputs_makes_no_film(tmp_path):
    some = {"attention": AttentionRecorder(None, "float16")}
    found = record_training(Letters(), watched_letters(), some, tmp_path / "recording.zarr", 4)
    with pytest.raises(ValueError, match="has no outputs, which a film needs; it has attention"):
        films_without_attention(found)


def test_runs_are_numbers_side_by_side():
    assert runs([]) == [] and runs([9, 3, 4]) == [(3, 4), (9, 9)]
