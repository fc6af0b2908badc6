from hypothesis import given
from hypothesis import strategies as st

from qa_research.browse.catalogue import find_all, fold, hit_in
from qa_research.tasks.answering.question import Gold, Question

letters = st.text(alphabet="aAbßÄäİςσΣ _%'é", max_size=12)


def test_a_text_is_found_whatever_its_case():
    assert find_all("Daylight saving, DAYLIGHT SAVING", "daylight Saving") == [(0, 15), (17, 32)]


def test_offsets_are_right_after_letters_that_fold_to_several():
    text = "Die Straße heißt STRASSE"
    assert [text[a:b] for a, b in find_all(text, "strasse")] == ["Straße", "STRASSE"]
    assert [text[a:b] for a, b in find_all(text, "heiss")] == ["heiß"]
    assert [text[a:b] for a, b in find_all(text, "S")] == ["S", "ß", "ß", "S", "S", "S"]


def test_nothing_is_found_of_nothing():
    assert find_all("text", "") == find_all("", "text") == []


@given(letters, letters)
def test_what_is_found_folds_to_the_same_and_does_not_overlap(text, wanted):
    spans = find_all(text, wanted)
    assert bool(spans) == (bool(wanted) and fold(wanted) in fold(text))
    assert all(fold(wanted) in fold(text[a:b]) for a, b in spans)
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(edges)


def test_a_hit_has_every_place_or_only_the_requested_one():
    golds = (Gold("Lund", 3), Gold("Ms Lund", 0), Gold("Lund", 3))
    row = Question("q", "t", "Ms Lund and lund.", "Who is LUND?", golds, "who")
    found = hit_in(4, row, "lund", None).matches
    assert [(f.place, f.text[slice(*f.spans[-1])]) for f in found] == [
        ("question", "LUND"),
        ("context", "lund"),
        ("answer", "Lund"),
        ("answer", "Lund"),
    ]
    assert [f.place for f in hit_in(4, row, "lund", "context").matches] == ["context"]
