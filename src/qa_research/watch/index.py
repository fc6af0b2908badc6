"""The films of a run together: their files' names, which of them exist, and the page that lists all watched
questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import escape

from qa_research.files import file_name
from qa_research.pages.curve import HEIGHT, WIDTH, curve_path
from qa_research.pages.html import one_file
from qa_research.text import disarmed
from qa_research.watch.example import AnyFilm, ExampleFilm
from qa_research.watch.page import INDEX, FilmLink

# Of a page, in characters: its head names the run.
HEAD = 4000


@dataclass(frozen=True)
class IndexRow:
    """A watched example in the list: `href` is its film's file, None if there is none."""

    film: AnyFilm
    href: str | None

    @property
    def right_since(self) -> int | None:
        """The step from which on every captured answer is right; None if the last one is wrong."""
        return None if self.film.settled is None else int(self.film.steps[self.film.settled])

    @property
    def is_right(self) -> bool | None:
        """Whether it is right at the last step; None of a number, which is neither right nor wrong."""
        if isinstance(self.film, ExampleFilm) and self.film.is_number:
            return None
        return self.right_since is not None

    @property
    def percent(self) -> str:
        """The probability of the true span or label at the last step; of a number its error."""
        if isinstance(self.film, ExampleFilm) and self.film.is_number:
            return f"off by {abs(self.film.errors[-1]):.3f}"
        probability = float(self.film.true_probability[-1])
        return f"{100 * probability:.1f} %" if np.isfinite(probability) else "not a number"

    @property
    def curve(self) -> str:
        """The probability of the true span or label over the steps, or how near a number is, as a path."""
        return curve_path(self.film.steps, self.film.true_probability)


def page_name(question_id: str) -> str:
    """The name of a film's file; never that of the list.

    >>> page_name("q7"), page_name("index")
    ('q7.html', 'index.film.html')
    """
    name = f"{file_name(question_id)}.html"
    # A dot is in no other film's name.
    return "index.film.html" if name == INDEX else name


def links_of(
    films: Sequence[AnyFilm], made: Sequence[int], folder: Path, run: str
) -> list[str | None]:
    """Each film's file, if it is one of `made` or already in `folder` and of this run."""
    names = [page_name(film.question_id) for film in films]
    return [
        name if i in made or is_film_of(folder / name, run) else None
        for i, name in enumerate(names)
    ]


def is_film_of(path: Path, run: str) -> bool:
    """Whether there is a film of this run; a folder may hold those of several."""
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return f'<meta name="run" content="{escape(disarmed(run))}">' in file.read(HEAD)


def neighbours(rows: Sequence[IndexRow], index: int) -> tuple[FilmLink | None, FilmLink | None]:
    """The nearest films before and after that of row `index`."""
    before = [row for row in rows[:index] if row.href]
    after = [row for row in rows[index + 1 :] if row.href]
    return (_link(before[-1]) if before else None, _link(after[0]) if after else None)


def _link(row: IndexRow) -> FilmLink:
    return FilmLink(row.href or "", row.film.question)


def index_page(rows: Sequence[IndexRow], run: str) -> str:
    """The list of all watched examples of a run, with a link to each film that exists.

    All text is escaped, and the page has no script.
    """
    steps = rows[0].film.steps
    right = sum(1 for row in rows if row.right_since is not None)
    values = {"rows": rows, "run": run, "n_right": right, "size": (WIDTH, HEIGHT)}
    values |= _words(rows[0].film)
    values |= {"first": int(steps[0]), "step": int(steps[-1])}
    package = "qa_research.watch"
    return one_file(
        package, "index.html.jinja", "index.css", (), values, kit=("kit.css", "charts.css")
    )


def _words(film: AnyFilm) -> dict[str, str]:
    """What the list calls an example, what the network says of it, and its last column."""
    if not isinstance(film, ExampleFilm):
        return {"noun": "question", "says": "answer", "last": "probability of the true span"}
    if film.is_number:
        return {"noun": "example", "says": film.rows[0], "last": "how near it is to the true value"}
    return {"noun": "example", "says": "label", "last": "probability of the true label"}
