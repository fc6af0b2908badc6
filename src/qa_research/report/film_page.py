"""A film as one HTML file that needs nothing beside it: no network, no other file."""

from qa_research.report.film import Film
from qa_research.report.film_data import film_data
from qa_research.report.one_file import one_file

_SCRIPTS = ("film.js", "film_charts.js", "film_attention.js", "film_controls.js")


def film_page(film: Film, title: str) -> str:
    """The page: a slider over the captures, and for each the answer, the losses and the attention.

    All of the question's text is escaped, and the browser is told to run this page's own script
    alone. `#step=N`, `#layer=L&head=H` behind its address open it there.
    """
    values = {"title": title, "film": film, "data": film_data(film)}
    return one_file("film.html.jinja", "film.css", _SCRIPTS, values)
