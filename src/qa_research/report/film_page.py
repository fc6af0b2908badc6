"""A film as one HTML file that needs nothing beside it: no network, no other file."""

import base64
import hashlib
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from qa_research.report.film import Film
from qa_research.report.film_data import film_data

_SCRIPTS = ("film.js", "film_charts.js", "film_attention.js", "film_controls.js")


def film_page(film: Film, title: str) -> str:
    """The page: a slider over the captures, and for each the answer, the losses and the attention.

    All of the question's text is escaped, and the browser is told to run this page's own script
    alone. `#step=N`, `#layer=L&head=H` behind its address open it there.
    """
    rooms = files("qa_research.report")
    style = rooms.joinpath("film.css").read_text(encoding="utf-8")
    scripts = (rooms.joinpath(name).read_text(encoding="utf-8") for name in _SCRIPTS)
    script = "\n".join(('"use strict";', *scripts))
    environment = Environment(
        loader=PackageLoader("qa_research.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment.get_template("film.html.jinja").render(
        title=title,
        film=film,
        data=film_data(film),
        style=Markup(style),
        style_hash=_hash(style),
        script=Markup(script),
        script_hash=_hash(script),
    )


def _hash(text: str) -> str:
    """As a Content-Security-Policy names an inline text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
