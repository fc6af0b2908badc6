import json

import numpy as np
import pytest

from qa_research.explain.images.result import by_number, read_story
from qa_research.explain.images.words import blanking_summary, facts, headline, meaning
from tests.explain.images.explanations import make_explanation, write


def story_of(folder, **choices):
    return read_story(write(folder, *make_explanation(**choices)))


def test_a_story_is_what_stands_in_the_folder(tmp_path):
    document, arrays = make_explanation(n=5, top=2)
    story = read_story(write(tmp_path, document, arrays))
    assert story.document == document
    np.testing.assert_array_equal(story.masks, arrays["masks"])
    assert story.order == tuple(row["number"] for row in document["segments"])
    best = document["segments"][0]
    assert story.of_segments("coefficient")[best["number"]] == best["coefficient"]
    assert story.centres[best["number"]].tolist() == best["centre"]
    assert (story.n_segments, story.top, story.confidence) == (5, 2, "95 % interval")


def test_the_top_is_the_configs_where_no_seeds_were_compared(tmp_path):
    assert story_of(tmp_path / "a", exact=True, top=2).top == 2
    config = {"lime": {}, "trust": {"top": 9}}
    assert story_of(tmp_path / "b", exact=True, top=2, config=config).top == 4


def test_a_folder_without_an_explanation_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"explanation\.json is missing; name a folder"):
        read_story(tmp_path)
    folder = write(tmp_path, *make_explanation())
    (folder / "arrays.npz").unlink()
    with pytest.raises(FileNotFoundError, match=r"arrays\.npz is missing"):
        read_story(folder)


def test_another_format_is_refused(tmp_path):
    folder = write(tmp_path, *make_explanation())
    for content, found in (({"format": "explanation-9"}, "explanation-9"), ([1], "list")):
        (folder / "explanation.json").write_text(json.dumps(content))
        with pytest.raises(ValueError, match=f"has the format {found}; drawn is explanation-1"):
            read_story(folder)


def test_two_files_of_different_explanations_are_refused(tmp_path):
    document, _ = make_explanation(n=4)
    _, arrays = make_explanation(n=5)
    with pytest.raises(ValueError, match="has 4 segments, but in .* segments has 5"):
        read_story(write(tmp_path / "a", document, arrays))
    del arrays["by_seed"]
    with pytest.raises(ValueError, match="lacks by_seed"):
        read_story(write(tmp_path / "b", document, arrays))
    document, arrays = make_explanation(n=4)
    document["segments"][0]["number"] = document["segments"][1]["number"]
    with pytest.raises(ValueError, match="does not number its segments from 0 to 3"):
        read_story(write(tmp_path / "c", document, arrays))


def test_segments_without_a_row_have_no_number():
    values = by_number([{"number": 2, "coefficient": 0.5}], "coefficient", 3)
    np.testing.assert_array_equal(values, [np.nan, np.nan, 0.5])


def test_facts_name_what_was_made_and_how_it_was_controlled(tmp_path):
    story = story_of(tmp_path / "a")
    found = dict(facts(story))
    assert found["segments"] == "4 by grid (rows 2, columns 2)"
    assert found["a segment that is off is"] == "grey"
    assert found["masks"] == "60 (3 seeds × 20)"
    assert found["surrogate"] == "ridge, R² 0.87"
    assert found["Jaccard index of the seeds' top 2"] == "0.84 (worst pair 0.60, by chance 0.14)"
    assert found["ranks 2 and 3"] == "told apart (z 3.10, needed 2.24)"
    assert headline(story) == "espresso (90 %)"
    exact = dict(facts(story_of(tmp_path / "b", exact=True)))
    assert exact["masks"] == "all 16 that there are"
    assert not [name for name in exact if "seeds" in name or "ranks" in name]
    constant = dict(facts(story_of(tmp_path / "c", constant=True)))
    assert constant["surrogate"] == "ridge, R² not a number"


def test_the_counterfactual_is_said_in_sentences():
    document, _ = make_explanation(flipped=True, flip=True)
    names = ", ".join(str(i) for i in document["counterfactual"]["segments"])
    assert blanking_summary(document["counterfactual"]) == [
        f"Without segments {names} (50 % of the area) espresso falls from 90 % to 20 %, "
        "and cup wins with 55 %.",
        "At first cup had place 2 and 6.0 %.",
        "Of 5 random sets of segments with as much area, none lower it as far (p 0.167).",
        f"Segments {names} change the class; no smaller set does it (7 sets tried).",
    ]
    document, _ = make_explanation(flipped=False)
    assert blanking_summary(document["counterfactual"])[0].endswith("to 50 %, and still wins.")
    found = document["counterfactual"] | {
        "flip": {"segments": None, "proven_smallest": False, "tried": 99}
    }
    assert "No set of segments that changes the class was found" in blanking_summary(found)[-1]


def test_a_verdict_does_not_speak_of_seeds_that_were_not_compared(tmp_path):
    many, one, exact = (
        meaning(story_of(tmp_path / str(i), **choices))
        for i, choices in enumerate(({}, {"seeds": 1}, {"exact": True}))
    )
    assert many.startswith("The seeds agree on the top segments; no control")
    assert one.startswith("One seed alone was drawn, so whether others agree is not known")
    assert exact.startswith("All masks that there are were predicted")
