"""An attribution as one HTML file that needs nothing beside it: no network, no other file."""

from collections.abc import Mapping
from typing import Any

from qa_research.report.attribution_charts import chart_of_curve, charts_of
from qa_research.report.attribution_figures import caption, said
from qa_research.report.attribution_names import NAMES
from qa_research.report.attribution_words import coloured_pieces, heat_rows, number, top_words
from qa_research.report.one_file import one_file

OUTPUTS = ("span", "start", "end")


def attribution_page(document: Mapping[str, Any]) -> str:
    """The page of an attribution.json: the text once a method, switchable between span, start and end.

    It is readable without its script, which adds a line of numbers for the word that is pointed at.
    All text is escaped, and the browser is told to run this page's own script alone.
    """
    texts = {
        (name, output): coloured_pieces(document, found[output])
        for name, found in document["methods"].items()
        for output in OUTPUTS
    }
    return _render(
        "attribution.html.jinja",
        document,
        texts=texts,
        captions={name: caption(name, found) for name, found in document["methods"].items()},
        charts=charts_of(document["faithfulness"]),
        tops={name: top_words(document, name) for name in document["methods"]},
    )


def steps_page(document: Mapping[str, Any]) -> str:
    """The page of a watched question's attributions: a table words x steps for each method, coloured."""
    tables = {
        (name, output): heat_rows(document, found[output])
        for name, found in document["methods"].items()
        for output in OUTPUTS
    }
    return _render(
        "attribution_steps.html.jinja",
        document,
        tables=tables,
        chart=chart_of_curve(document["steps"], document["probability"]),
    )


def _render(template: str, document: Mapping[str, Any], **beside: Any) -> str:
    data = {
        "words": [word["text"] for word in document["words"]],
        "names": {name: NAMES[name] for name in document["methods"]},
        "steps": document.get("steps"),
        "methods": {
            name: {output: found[output] for output in OUTPUTS}
            for name, found in document["methods"].items()
        },
    }
    values = {
        "document": document,
        "names": NAMES,
        "outputs": OUTPUTS,
        "said": said(document),
        "number": number,
        "data": data,
        **beside,
    }
    return one_file(template, "attribution.css", ("attribution.js",), values)
