"""The report of one training as a document: each section is made of files alone."""

from collections.abc import Callable, Mapping
from typing import Any

from qa_research.model.architecture import ARCHITECTURE
from qa_research.pages.document import Document, Paragraph, Quoted, Section
from qa_research.report.answers import answer_section
from qa_research.report.architecture import architecture_section
from qa_research.report.cost import cost_section, efficacy_section, states
from qa_research.report.glance import configuration_section, lead
from qa_research.report.learning import (
    confidence_section,
    has_confidence,
    learning_section,
    scores_section,
)
from qa_research.report.sources import Source, moment_of
from qa_research.report.time_spent import time_section
from qa_research.report.watched import watched_section
from qa_research.report.weights import has_weights, weights_section
from qa_research.runs.directory import readable_run
from qa_research.runs.places import data_name, start_of, weights_name

SECTIONS: tuple[Callable[[Source], Section], ...] = (
    scores_section,
    learning_section,
    confidence_section,
    architecture_section,
    watched_section,
    weights_section,
    answer_section,
    efficacy_section,
    cost_section,
    time_section,
)
# Each of these says how to get what it lacks, which a run of another task cannot: of such a run they are left
# out if there is nothing to tell.
_HAS_SOMETHING: Mapping[Callable[[Source], Section], Callable[[Source], bool]] = {
    architecture_section: lambda source: (source.directory / ARCHITECTURE).is_file(),
    watched_section: lambda source: source.recording is not None,
    weights_section: has_weights,
    answer_section: lambda source: bool(source.kept),
    efficacy_section: lambda source: bool(states(source)),
}


def training_report(source: Source, default: Mapping[str, Any]) -> Document:
    """The document of a run; `default`: the config that `train` has without any words.

    Raises:
        ValueError: a file of the run is damaged.
    """
    sections = [_made(make, source) for make in SECTIONS if _belongs(make, source)]
    return Document(
        title=title_of(source),
        lead=lead(source),
        sections=(*sections, configuration_section(source, default)),
        moment=moment_of([source]),
    )


def _belongs(make: Callable[[Source], Section], source: Source) -> bool:
    """Whether a report of this run has the section."""
    if make is confidence_section:
        return has_confidence(source)
    return source.has_questions or make not in _HAS_SOMETHING or _HAS_SOMETHING[make](source)


def _made(make: Callable[[Source], Section], source: Source) -> Section:
    """A section; where the recording is damaged in what it needs, how, instead of it."""
    try:
        return make(source)
    except ValueError as error:
        # Other files have no damage that leaves something to tell.
        if source.recording is None or not (damage := source.recording.damage()):
            raise
        name = make.__name__.removesuffix("_section")
        words = (
            "The recording is damaged, so this section is missing: ",
            Quoted("; ".join(damage) or str(error)),
        )
        return Section(name, name.capitalize(), (Paragraph(words, "lack"),))


def title_of(source: Source) -> str:
    """What the run asks, as a question."""
    config = source.entry.config
    weights = weights_name(config)
    begin = start_of(config["model"])
    # Of a part of them, or of none, it says so itself.
    begin = f"the weights of {begin}" if begin == weights else begin
    name = config["model"]["name"]
    data = data_name(config) or readable_run(source.directory)
    if not source.has_questions:
        start = f" from {begin}" if weights else ""
        of = f"the {source.examples} of {data}" if data != source.examples else f"our own {data}"
        return f"How well does {name} learn {of}{start}?"
    asked = "the built-in questions" if data == "builtin" else f"the questions of {data}"
    return f"How well does {name} learn to answer {asked} from {begin}?"
