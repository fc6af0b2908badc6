"""Predictions as tools write them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_research.tasks.answering.predictions import Predictions, read_null_odds, read_predictions

TEXTS = {"q1": "Ms Lund", "q2": ""}
ROWS = [{"id": key, "prediction_text": text} for key, text in TEXTS.items()]


@pytest.mark.parametrize(
    ("value", "odds"),
    [
        (TEXTS, None),
        ({key: [{"text": text}, {"text": "other"}] for key, text in TEXTS.items()}, None),
        ({key: {"text": text, "score": 0.5} for key, text in TEXTS.items()}, None),
        (ROWS, None),
        ([row | {"no_answer_probability": 0.25} for row in ROWS], {"q1": 0.25, "q2": 0.25}),
        ([{"id": key, "prediction": text, "f1": 0.5} for key, text in TEXTS.items()], None),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_predictions_are_read_as_tools_write_them(value, odds, encoding, tmp_path):
    path = tmp_path / "p.json"
    path.write_bytes(json.dumps(value).encode(encoding))
    assert read_predictions(path, encoding) == Predictions(TEXTS, odds)
    if isinstance(value, list):
        path.write_bytes("\r\n".join(map(json.dumps, value)).encode(encoding))
        assert read_predictions(path, encoding) == Predictions(TEXTS, odds)


def test_predictions_of_utf_8_are_read_whatever_the_encoding_of_the_data(tmp_path):
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"q1": "Ærø"}, ensure_ascii=False), encoding="utf-8")
    assert read_predictions(path, "latin-1").texts == {"q1": "Ærø"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"q1": null}', "the answer to 'q1' is null; .*; no answer is \"\""),
        ('{"q1": 3}', "the answer to 'q1' is the number 3; expected one JSON object"),
        ('{"q1": {}}', "the answer to 'q1' is an object"),
        ('{"q1": {"text": null}}', "the answer to 'q1' is null"),
        ('{"q1": []}', "the answer to 'q1' is a list"),
        ('{"q1": [{"start": 1}]}', "the answer to 'q1' is null"),
        ('[{"id": "q1", "prediction_text": null}]', "the answer to 'q1' is null"),
        ('[{"id": "q1"}]', "row 0 is 'id'; expected"),
        ('[["q1", "x"]]', "row 0 is a list; expected"),
        ('"text"', "holds the text 'text'; expected"),
        ('[{"id": 1, "prediction_text": "a"}, {"id": "1", "prediction_text": "b"}]', "two answers to '1'"),
        ("{", "is not valid JSON: .* at line 1, column 2"),
        ("[" * 100_000, "nested too deeply"),
        ('{"id": "q1", "prediction_text": "a"}\nx', "not valid JSON: Expecting value at line 2"),
        (
            json.dumps([ROWS[0] | {"no_answer_probability": 1}, ROWS[1]]),
            "the row of 'q2' has no no_answer_probability",
        ),
        ('[{"id": "1", "prediction_text": "", "no_answer_probability": "x"}]', "odds of '1' are the text"),
    ],
)  # fmt: skip
def test_predictions_that_are_none_are_named_in_the_words_of_json(content, sentence, tmp_path):
    path = tmp_path / "p.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=sentence) as refusal:
        read_predictions(path)
    assert str(refusal.value).startswith(f"PREDICTIONS={path}")


def test_odds_that_are_none_are_named(tmp_path):
    path = tmp_path / "odds.json"
    for content, said in (
        ("[1]", "holds a list"),
        ('{"q": null}', "are null"),
        ('{"q": NaN}', "nan"),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=said):
            read_null_odds(path)
    path.write_text('{"q": -3}')
    assert read_null_odds(path) == {"q": -3.0}


KEYS = st.sampled_from(["id", "prediction_text", "no_answer_probability", "text", "q"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(ANYTHING)
def test_anything_is_one_sentence_or_predictions(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "anything.json"
    path.write_text(json.dumps(value), encoding="utf-8", errors="surrogatepass")
    try:
        found = read_predictions(path)
    except ValueError as error:
        found = str(error)
    if isinstance(found, str):
        assert found.startswith(f"PREDICTIONS={path}") and "\n" not in found
    else:
        assert all(isinstance(text, str) for text in found.texts.values())
