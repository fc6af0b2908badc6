"""The list of all watched questions, and which films it and they link to."""

from qa_research.watch.film import make_film
from qa_research.watch.index import (
    IndexRow,
    index_page,
    links_of,
    neighbours,
    page_name,
)
from qa_research.watch.page import film_page
from tests.html_pages import ParsedPage
from tests.watch.recordings import describe, make_logits

ROWS = [describe(number=number) for number in range(4)]
LOGITS = make_logits(ROWS, [0, 10, 50], 20)
FILMS = [make_film(row, i, LOGITS) for i, row in enumerate(ROWS)]


def rows_with(*hrefs):
    return [IndexRow(film, href) for film, href in zip(FILMS, hrefs, strict=True)]


def links(page):
    return [names["href"] for tag, names in ParsedPage(page).tags if tag == "a"]


def test_a_film_never_takes_the_name_of_the_list():
    assert [page_name(name) for name in ("q7", "index")] == ["q7.html", "index.film.html"]


def test_films_that_are_made_and_those_of_the_same_run_are_linked(tmp_path):
    (tmp_path / "q1.html").write_text(film_page(FILMS[1], "run <1>"), encoding="utf-8")
    (tmp_path / "q2.html").write_text(film_page(FILMS[2], "run <2>"), encoding="utf-8")
    assert links_of(FILMS, [0], tmp_path, "run <1>") == ["q0.html", "q1.html", None, None]


def test_the_list_links_to_the_films_that_exist():
    page = index_page(rows_with("q0.html", None, "q2.html", None), "a run")
    assert links(page) == ["q0.html", "q2.html"]
    assert "--all" in ParsedPage(page).text
    whole = index_page(rows_with(*(f"q{i}.html" for i in range(4))), "a run")
    assert "--all" not in ParsedPage(whole).text


def test_a_film_links_to_the_list_and_to_the_nearest_films():
    rows = rows_with("q0.html", None, "q2.html", "q3.html")
    assert [link and link.href for link in neighbours(rows, 0)] == [None, "q2.html"]
    assert [link and link.href for link in neighbours(rows, 2)] == ["q0.html", "q3.html"]
    assert links(film_page(FILMS[2], "a run", *neighbours(rows, 2))) == [
        "index.html",
        "q0.html",
        "q3.html",
    ]


def test_the_list_says_how_each_question_ended():
    text = " ".join(ParsedPage(index_page(rows_with(*[None] * 4), "a run")).text.split())
    n_right = sum(film.settled is not None for film in FILMS)
    assert f"Right at step 50: {n_right} of 4" in text and n_right
    for film in FILMS:
        assert f"{100 * film.true_probability[-1]:.1f} %" in text
