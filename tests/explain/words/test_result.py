import json
from dataclasses import replace

import pytest

from qa_research.explain.words.result import (
    FORMAT,
    Attribution,
    AttributionOverSteps,
    all_rounded,
    methods_of,
    signed,
)
from tests.explain.words.attributions import an_attribution, over_steps, text_of, values_of

BOTH = pytest.mark.parametrize(
    ("kind", "result"),
    [(Attribution, an_attribution()), (AttributionOverSteps, over_steps())],
    ids=["answer", "steps"],
)


@BOTH
def test_a_result_is_loaded_as_it_was_saved(kind, result, tmp_path):
    path = tmp_path / "attribution.json"
    result.save(path)
    assert kind.load(path) == result
    document = json.loads(path.read_text())
    assert document.pop("format") == FORMAT
    # Through JSON, since as_json has tuples where the file has lists.
    assert document == json.loads(json.dumps(result.as_json()))


@BOTH
def test_a_file_without_a_format_is_one_of_the_first(kind, result, tmp_path):
    path = tmp_path / "attribution.json"
    path.write_text(json.dumps(result.as_json()))
    assert kind.load(path) == result


@BOTH
def test_question_context_and_words_are_at_the_top_of_the_document(kind, result):
    document = result.as_json()
    assert document["question"] == result.text.question and "text" not in document
    assert document["words"][0]["text"] == "Who"
    assert list(document)[-2:] in (["top", "seed"], ["seed", "shuffles"])


def test_another_version_or_another_kind_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "attribution.json"
    path.write_text(json.dumps({"format": "attribution-9"}))
    with pytest.raises(ValueError, match=f"format attribution-9; this version reads {FORMAT}"):
        Attribution.load(path)
    over_steps().save(path)
    with pytest.raises(ValueError, match=r"attribution.json does not hold an Attribution: "):
        Attribution.load(path)
    for text in ("{}", "[]", "3"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"attribution.json"):
            AttributionOverSteps.load(path)


def test_the_top_words_are_the_largest_by_sign_with_their_own_intervals():
    result = an_attribution()
    values = values_of(len(result.text.words), 0, 3)
    lime = result.methods["lime"]
    # Words 0 and 3 stay on, so the intervals have two entries less than the values.
    ends = tuple(value for value in values if value is not None)
    lime = replace(lime, span=values, low=ends, high=ends)
    top = replace(result, methods={"lime": lime}).top_words("lime")
    assert [word.value for word in top] == sorted(ends, reverse=True)[:3]
    assert all(word.low == word.high == word.value for word in top)
    assert all(result.text.words[values.index(word.value)] == word.word for word in top)
    assert all(word.low is None for word in result.top_words("erasure"))


def test_captions_say_how_well_a_method_worked():
    captions = {name: values.caption for name, values in an_attribution().methods.items()}
    assert captions["gradients"] == "Integrated gradients (20 steps, inf % of the sum missing)"
    assert captions["erasure"] == "Word erasure (one word at a time)"
    assert captions["lime"] == "LIME (R² on unseen masks 0.70, overlap of repeats 0.60)"


def test_a_word_is_spaced_where_something_precedes_it():
    text = text_of("Who leads judo?", "Dr Obi, too")
    spaced = dict(zip([word.text for word in text.words], text.is_spaced, strict=True))
    assert spaced == {
        "Who": False,
        "leads": True,
        "judo": True,
        "?": False,
        "Dr": False,
        "Obi": True,
        ",": False,
        "too": True,
    }


def test_numbers_have_seven_digits_and_nothing_that_json_lacks():
    assert all_rounded([0.123456789, 12345678.9, float("nan"), float("inf")]) == (
        0.1234568,
        12345680.0,
        None,
        None,
    )
    assert (signed(1.234), signed(-0.5), signed(None)) == ("+1.23", "−0.50", "–")


def test_methods_are_named_once_or_with_commas_in_a_fixed_order():
    assert methods_of(["lime,gradients"], ()) == ("gradients", "lime")
    assert methods_of(["lime", "erasure"], ()) == ("erasure", "lime")
    assert methods_of([], ("erasure",)) == ("erasure",)
    with pytest.raises(ValueError, match="--method shap is unknown; these are known: gradients"):
        methods_of(["lime,shap"], ())
