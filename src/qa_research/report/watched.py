"""A report's watched questions: a film of each on a screen, one of them in pictures on paper."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from qa_research.capture.recording.files import RECORDING
from qa_research.figures.attention import attention_over_steps
from qa_research.figures.curves import question_losses
from qa_research.figures.logits import logits_at_three_steps, logits_over_steps, unit_by_token
from qa_research.figures.panels import spread
from qa_research.figures.reach import attention_received
from qa_research.figures.shares import logit_shares
from qa_research.pages.document import (
    Block,
    Code,
    Column,
    Live,
    Paragraph,
    Picture,
    Quoted,
    Section,
    Table,
    Text,
)
from qa_research.report.live import questions_data
from qa_research.report.pictures import picture
from qa_research.report.sources import Source, taken_from, unreadable
from qa_research.watch.example import ExampleFilm
from qa_research.watch.example_strip import example_strip
from qa_research.watch.film import Film, moved_most
from qa_research.watch.story import SITES, examples_of, hardest_learned
from qa_research.watch.strip import film_strip

RANKED = 5


@taken_from("recording.zarr")
def captured_step(source: Source, question: int, of: str) -> int:
    """Of a watched question's captures: the step that turned its answer, or the first or last one."""
    film = film_of(source, question)
    place = {"first": 0, "last": -1, "turn": film.settled or film.first_right or 0}[of]
    return int(film.steps[place])


@taken_from("recording.zarr")
def true_probability(source: Source, question: int, of: str) -> float:
    """The probability of the true answer at the same captures as `captured_step`."""
    film = film_of(source, question)
    place = {"first": 0, "last": -1, "turn": film.settled or film.first_right or 0}[of]
    return float(film.true_probability[place])


@taken_from("recording.zarr")
def unit_share(source: Source, question: int, row: str, rank: int, of: str) -> float:
    """The unit that adds most to the true span's logit at the last capture (`rank` 0), and what it adds."""
    shares = source.groups["attribution"]["unit_share"].isel(question=question, step=-1)
    values = shares.sel(row=row).to_numpy()
    unit = int(np.argsort(-np.abs(values), kind="stable")[rank])
    return float(shares["unit"].values[unit]) if of == "unit" else float(values[unit])


@taken_from("recording.zarr")
def logit(source: Source, question: int, row: str) -> float:
    """The true span's start or end logit at the last capture."""
    found = source.groups["attribution"]["logit"].isel(question=question, step=-1).sel(row=row)
    return float(found.item())


def film_of(source: Source, question: int) -> Film:
    """What the run answered to a watched question at each capture."""
    if source.recording is None:
        raise FileNotFoundError(f"{source.directory / RECORDING} is missing")
    return source.films[question]


def watched_section(source: Source) -> Section:
    """The questions that were watched while the network learned."""
    heading = "Watched questions"
    films = source.films
    if source.recording is not None and source.recording.outputs is not None:
        return _examples(source)
    if not films:
        words = ("No answers were recorded; a training with ", Code("capture=default"), " does it.")
        return Section("watched", heading, (Paragraph(words, "lack"), *unreadable(source)))
    chosen = hardest_learned(films)
    order = [chosen, *(i for i in range(len(films)) if i != chosen)]
    table, pictures = _table(source, films), tuple(pictures_of(source, chosen))
    live = Live(
        "question", questions_data([[films[i]] for i in order], [""]), _strip(films[chosen])
    )
    return Section("watched", heading, (live, table, *pictures))


def _examples(source: Source) -> Section:
    """Of another task: what the network says of each watched example at first and at last."""
    assert source.recording is not None
    films = examples_of(source.recording)
    words: Text = ("What was watched was not recorded; a training with ", Code("capture=examples"))
    if not films:
        return Section("watched", "Watched examples", (Paragraph((*words, " does it."), "lack"),))
    says = films[0].rows[0] if films[0].is_number else "label"
    names = ("example", "split", "true", f"{says} at first", "at last")
    rows: list[tuple[Text, ...]] = [
        (
            (Quoted(film.question),),
            (film.split,),
            (Quoted(" / ".join(film.true_texts)),),
            (film.answer_text(0),),
            (film.answer_text(-1),),
        )
        for film in films
    ]
    table = Table(
        tuple(Column(name) for name in names),
        tuple(rows),
        ("The watched examples, and what the network says of them.",),
    )
    strip = picture(
        "example_strip",
        example_strip(films[0]),
        "What the network says of one example over the steps.",
        ("What it says of the first of them over the training.",),
        {"step": films[0].steps.tolist(), "says": films[0].scores.tolist()},
    )
    return Section("watched", "Watched examples", (table, strip, *_attended(source, films)))


def _attended(source: Source, films: list[ExampleFilm]) -> Iterator[Block]:
    """Where attention goes at the last capture in an example of which it is known what matters."""
    data = source.groups.get("attention")
    marked = [number for number, film in enumerate(films) if film.marked]
    if data is None or not data.sizes["step"] or not marked:
        return
    film = films[marked[0]]
    own = slice(len(film.tokens))
    weight = data["weight"].isel(question=marked[0], step=-1, query=own, key=own)
    by_layer = {
        f"layer {layer}": weight.sel(layer=layer).to_numpy().astype(np.float64)
        for layer in weight["layer"].to_numpy().tolist()
    }
    yield Paragraph(("Where attention goes in: ", Quoted(film.text)))
    yield picture(
        "attention_received",
        attention_received(by_layer, film.tokens, film.marked, film.marked_as),
        f"The attention that each token receives, by layer; {film.marked_as} tokens are red.",
        (
            "The attention that each token receives at the last capture, the mean over heads and over all "
            f"tokens that look; red: {film.marked_as} tokens; dashed: if all received the same.",
        ),
        columns_of(weight.mean(["head", "query"]), "attention received"),
    )


def _strip(film: Film) -> tuple[Block, ...]:
    """The film on paper: some captures, the first, the last and those of the turn among them."""
    if not film.text.context_tokens:
        return ()
    data = {
        "step": film.steps.tolist(),
        "answer": [film.answer_text(i) for i in range(len(film.steps))],
        "right": film.right.tolist(),
        "probability of the true answer": film.true_probability.tolist(),
    }
    caption = (
        "The text at some captures, from the first to the last: upper strip, where the answer starts; lower "
        "strip, where it ends; framed, the true answer; underlined, the answer given.",
    )
    alt = "The tokens of the text, shaded by the probability that the answer starts or ends there."
    return (picture("film_strip", film_strip(film), alt, caption, data),)


def _table(source: Source, films: list[Film]) -> Table:
    """When each question was learned."""
    names = ("question", "split", "true answer", "right from step")
    columns = (
        *(Column(name) for name in names[:3]),
        Column(names[3], True),
        Column("probability at first", True),
        Column("at last", True),
    )
    rows = []
    for i, film in enumerate(films):
        turned: Any = "never"
        if film.settled is not None:
            turned = source.value(
                "captured_step", "whole", question=i, of="turn" if film.settled else "first"
            )
        elif film.first_right is not None:
            turned = "not at last"
        rows.append(
            (
                (Quoted(film.question),),
                (film.split,),
                (Quoted(" / ".join(dict.fromkeys(film.true_texts)) or "none in this text"),),
                (turned,),
                (source.value("true_probability", "probability", question=i, of="first"),),
                (source.value("true_probability", "probability", question=i, of="last"),),
            )
        )
    return Table(
        columns, tuple(rows), ("The watched questions, and the probability of the true answer.",)
    )


def pictures_of(source: Source, question: int) -> Iterator[Block]:
    """What was recorded of one watched question, as pictures."""
    groups = source.groups
    assert source.recording is not None
    row = source.recording.questions[question]
    tokens, asked = [str(token) for token in row["tokens"]], str(row["question"])
    yield Paragraph(("Looked at more closely: ", Quoted(asked)))
    yield from _logits(source, question, tokens, asked)
    if "attention" in groups and groups["attention"].sizes["step"]:
        yield _attention(
            groups["attention"], question, tokens, asked, film_of(source, question).turn
        )
    for name, data in groups.items():
        for site in SITES:
            if site in data.data_vars and data.sizes["step"]:
                yield _unit(data, name, site, question, tokens, asked)
    if "attribution" in groups and groups["attribution"].sizes["step"]:
        yield from _shares(source, question, asked)


def _logits(source: Source, question: int, tokens: list[str], asked: str) -> Iterator[Picture]:
    data = source.groups["logits"]
    own = data["logit"].isel(question=question, token=slice(len(tokens)))
    turn = film_of(source, question).turn
    three = own.sel(step=spread(own["step"].to_numpy(), 3, turn))
    yield picture(
        "logits_at_three_steps",
        logits_at_three_steps(data, question, tokens, asked, turn),
        "Start and end logits by token at the first, the last and a captured step between.",
        (
            "The logits of every token at the first and the last capture and, between them, where the answer "
            "became right (or at the middle); shaded: the true answer.",
        ),
        columns_of(three, "logit"),
    )
    yield picture(
        "logits_over_steps",
        logits_over_steps(data, question, tokens, asked),
        "Heat maps of the start and the end logits, a row for each captured step, a column for each token.",
        ("The same over all captures; framed: the true answer.",),
        columns_of(own, "logit"),
    )
    yield picture(
        "question_losses",
        question_losses(data, question, asked),
        "The start and end loss of this question, and the probability of its true answer, over the steps.",
        (
            "Its losses, and the probability of the true answer: from ",
            source.value("true_probability", "probability", question=question, of="first"),
            " at step ",
            source.value("captured_step", "whole", question=question, of="first"),
            " to ",
            source.value("true_probability", "probability", question=question, of="last"),
            " at step ",
            source.value("captured_step", "whole", question=question, of="last"),
            ".",
        ),
        columns_of(data["loss"].isel(question=question), "loss"),
    )


def _attention(
    data: xr.Dataset, question: int, tokens: list[str], asked: str, turn: int | None
) -> Picture:
    weight = data["weight"].isel(question=question)
    maps = weight.isel(step=[0, -1]).to_numpy().astype(np.float64)
    layer, head = moved_most(*maps)
    number = int(data["layer"].values[layer])
    chosen = f"of {maps.shape[1] * maps.shape[2]} heads the one that changed most"
    figure = attention_over_steps(data, question, number, head, tokens, chosen, asked, turn)
    n = len(tokens)
    last = weight.isel(step=-1, layer=layer, head=head, query=slice(n), key=slice(n))
    return picture(
        "attention_of_one_head",
        figure,
        "Maps of the attention of one head between the tokens of this question at several steps.",
        (
            "The attention head that changed most; the largest of many changes is large by chance, too.",
        ),
        columns_of(last, "weight"),
    )


def _unit(
    data: xr.Dataset, name: str, site: str, question: int, tokens: list[str], asked: str
) -> Picture:
    unit = int(data["unit"].values[0])
    own = data[site].isel(question=question, step=-1).sel(unit=unit)
    return picture(
        f"{name}_{site}",
        unit_by_token(data, site, question, unit, tokens, asked),
        f"The value of one unit at {site.replace('_', ' ')} by token at the last captured step.",
        (
            "The tracked unit by token; its number means something else at every place in the network.",
        ),
        columns_of(own, site),
    )


def _shares(source: Source, question: int, asked: str) -> Iterator[Block]:
    data = source.groups["attribution"]
    yield picture(
        "logit_shares",
        logit_shares(data, question, asked),
        "What each layer's attention and feed-forward network adds to the true answer's logits.",
        ("What each part adds to the logits of the true answer; a column sums to the logit.",),
        columns_of(data["layer_share"].isel(question=question), "share"),
    )
    rows = []
    for rank in range(min(RANKED, data.sizes["unit"])):
        cells: list[Text] = [(f"{rank + 1}.",)]
        for row in ("start", "end"):
            at = {"question": question, "row": row, "rank": rank}
            cells.append(
                (
                    source.value("unit_share", "whole", of="unit", **at),
                    ": ",
                    source.value("unit_share", "signed", of="share", **at),
                )
            )
        rows.append(tuple(cells))
    columns = (Column("rank"), Column("start logit", True), Column("end logit", True))
    caption: Text = (
        "The units of the last layer that add most to the true answer's logits at the last capture, of ",
        source.value("logit", "signed", question=question, row="start"),
        " (start) and ",
        source.value("logit", "signed", question=question, row="end"),
        " (end).",
    )
    yield Table(columns, tuple(rows), caption)


def columns_of(array: xr.DataArray, name: str) -> dict[str, list[Any]]:
    """An array as columns: one for each of its axes, and the values as `name`."""
    frame = array.rename(name).reset_coords(drop=True).to_dataframe().reset_index()
    return {str(column): frame[column].tolist() for column in frame}
