import json
from dataclasses import replace

import numpy as np
import pytest

from qa_research.explain.images.result import Explanation, RankedSegment, by_number
from tests.explain.images.explanations import loaded, make_explanation, with_ties, write


@pytest.mark.parametrize(
    "choices",
    [{}, {"flip": True, "constant": True}, {"exact": True, "curves": False, "again": False}],
)
def test_what_is_loaded_is_what_the_folder_holds(tmp_path, choices):
    document, arrays = make_explanation(n=5, top=2, **choices)
    explanation = Explanation.load(write(tmp_path, document, arrays))
    rounded = json.loads(json.dumps(document), parse_float=lambda text: float(f"{float(text):.6g}"))
    assert explanation.as_json() == rounded
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(explanation.arrays, name), array)


def test_segments_are_looked_up_by_rank_and_by_number(tmp_path):
    explanation = loaded(tmp_path, n=5, top=2)
    best = explanation.segments[0]
    assert explanation.order == tuple(segment.number for segment in explanation.segments)
    assert explanation.by_number("coefficient")[best.number] == best.coefficient
    assert explanation.centres[best.number].tolist() == list(best.centre)
    assert (explanation.n_segments, explanation.top) == (5, 2)
    assert explanation.interval == "95 % interval"


def test_every_tie_is_in_the_document(tmp_path):
    found = with_ties(tmp_path / "a")
    ties = [row["tied_ranks"] for row in found.as_json()["segments"]]
    assert ties == [[1, 2]] * 2 + [[3, 6]] * 4 + [[7, 9]] * 3
    known = replace(found, stable_top=replace(found.stable_top, sizes=(1, 2, 6)))
    assert [row["tied_ranks"] for row in known.as_json()["segments"]][:3] == [None, None, [3, 6]]
    # An earlier version marked one run of ties, and wrote no more than that.
    assert loaded(tmp_path / "b", word="doubtful").tied_ranks == [(2, 3)]


def test_the_top_is_the_configs_if_no_seeds_were_compared(tmp_path):
    assert loaded(tmp_path / "a", exact=True, top=2).top == 2
    config = {"trust": {"top": 9}}
    assert loaded(tmp_path / "b", exact=True, top=2, config=config).top == 4


def test_a_folder_without_an_explanation_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"explanation\.json is missing; name a folder"):
        Explanation.load(tmp_path)
    folder = write(tmp_path, *make_explanation())
    (folder / "arrays.npz").unlink()
    with pytest.raises(FileNotFoundError, match=r"arrays\.npz is missing"):
        Explanation.load(folder)


def test_another_format_is_refused(tmp_path):
    folder = write(tmp_path, *make_explanation())
    for content, found in (({"format": "explanation-9"}, "explanation-9"), ([1], "list")):
        (folder / "explanation.json").write_text(json.dumps(content))
        with pytest.raises(
            ValueError, match=f"has the format {found}; this version reads explanation-1"
        ):
            Explanation.load(folder)


def test_a_document_with_a_missing_key_is_refused(tmp_path):
    document, arrays = make_explanation()
    del document["surrogate"]["intercept"]
    with pytest.raises(ValueError, match="explanation.json is incomplete: 'intercept'"):
        Explanation.load(write(tmp_path, document, arrays))


def test_two_files_of_different_explanations_are_refused(tmp_path):
    document, _ = make_explanation(n=4)
    _, arrays = make_explanation(n=5)
    with pytest.raises(ValueError, match="has 4 segments, but in .* segments has 5"):
        Explanation.load(write(tmp_path / "a", document, arrays))
    del arrays["by_seed"]
    with pytest.raises(ValueError, match="does not have by_seed"):
        Explanation.load(write(tmp_path / "b", document, arrays))
    document, arrays = make_explanation(n=4)
    document["segments"][0]["number"] = document["segments"][1]["number"]
    with pytest.raises(ValueError, match="does not number its segments from 0 to 3"):
        Explanation.load(write(tmp_path / "c", document, arrays))


def test_segments_that_are_not_listed_have_no_value():
    values = by_number([RankedSegment(2, 1, 0.5, 0.4, 0.6)], "coefficient", 3)
    np.testing.assert_array_equal(values, [np.nan, np.nan, 0.5])
