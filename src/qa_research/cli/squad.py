"""The verb that browses questions: squad."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qa_research.cli.options import DEFAULT_RUNS, AsJson, Runs, print_json

if TYPE_CHECKING:
    from qa_research.browse.view import Browser


NO_TOKENIZER = (
    "Token counts are left out: give --tokenizer DIR, or pip install 'qa-research[offline]'"
)


def squad(
    which: Annotated[
        str | None, typer.Argument(metavar="[INDEX|random]", help="an index from 0, or random")
    ] = None,
    identity: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="the question of this id")
    ] = None,
    search: Annotated[
        str | None, typer.Option(metavar="TEXT", help="all questions with this text, in any case")
    ] = None,
    place: Annotated[
        str | None,
        typer.Option("--in", metavar="PLACE", help="search only the question, context or answer"),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="how many hits to show")] = 20,
    stats: Annotated[
        bool, typer.Option("--stats", help="lengths, kinds, answers, repetitions, faults")
    ] = False,
    repeats: Annotated[
        bool, typer.Option("--repeats", help="which questions the ledger has more than once")
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(
            help="builtin, squad, squad_v2, a directory in the hub's layout, or a SQuAD file",
            show_default="builtin, or the run's own",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="train or validation, where the data has splits",
            show_default="train; with --run validation, as efficacy asks",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="draws what random shows")] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="a directory, a hub id, or package:NAME/PATH", show_default="the packaged one"
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(min=8, help="tokens of a window", show_default="384; builtin 128"),
    ] = None,
    stride_tokens: Annotated[
        int | None,
        typer.Option(min=0, help="tokens two windows share", show_default="128; builtin 32"),
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="show what this run answers, too")
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="best, last, a step number, or a path")] = "best",
    cache: Annotated[
        Path, typer.Option(metavar="DIR", help="where catalogues of questions are kept")
    ] = Path("cache"),
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Browse questions: by index, by id, by text, or at random.

    With context, answers, windows, and what a run answers. Alone on a terminal it asks what to show.
    """
    wishes = {
        "an index or random": which is not None,
        "--id": identity is not None,
        "--search": search is not None,
        "--stats": stats,
        "--repeats": repeats,
    }
    chosen = [name for name, is_given in wishes.items() if is_given]
    interactive = not chosen and not as_json and sys.stdin.isatty() and sys.stdout.isatty()
    if len(chosen) != 1 and not interactive:
        got = " and ".join(chosen) or "none of them"
        raise ValueError(
            f"give one of: an index, random, --id ID, --search TEXT, --stats, --repeats (got {got}); on a "
            "terminal, qa-research squad alone asks"
        )
    if repeats:
        given: dict[str, object] = {"--run": run, "--data": data, "--split": split, "--seed": seed}
        given |= {"--in": place, "--tokenizer": tokenizer}
        given |= {"--max-tokens": max_tokens, "--stride-tokens": stride_tokens}
        _repeats(runs, as_json, [name for name, value in given.items() if value is not None])
        return
    index = _index(which)
    _check_options(search, place, seed, which, interactive, tokenizer, run, checkpoint)
    from qa_research.console import start_logging

    start_logging()
    from qa_research.browse.catalogue import Catalogue
    from qa_research.browse.view import Browser, choose_source, choose_window

    directory = None
    if run is not None:
        from qa_research.runs.directory import find_run

        directory = find_run(run, runs)
    source = choose_source(data, split, directory)
    window = choose_window(source, directory, max_tokens, stride_tokens)
    with Catalogue(source, cache) as catalogue:
        browser = Browser(catalogue, tokenizer, window, directory, checkpoint, seed)
        if interactive:
            from qa_research.browse.prompt import Prompt

            _say_if_no_tokenizer(browser)
            Prompt(browser, limit).run()
        elif search is not None:
            _search(browser, search, place, limit, as_json)
        elif stats:
            _stats(browser, as_json)
        else:
            if identity is not None:
                index = catalogue.indices_of(identity)[0]
            _show(browser, browser.random_index() if index is None else index, as_json)


def _show(browser: "Browser", index: int, as_json: bool) -> None:
    from qa_research.browse.show import show_question

    viewed = browser.view(index)
    _say_if_no_tokenizer(browser)
    if as_json:
        print_json(viewed.as_json())
    else:
        show_question(viewed)


def _search(browser: "Browser", wanted: str, place: str | None, limit: int, as_json: bool) -> None:
    from qa_research.browse.show import show_hits

    catalogue = browser.catalogue
    indices = catalogue.search(wanted, place)
    hits = browser.hits(indices[:limit], wanted, place)
    if as_json:
        facts = {"source": catalogue.source.name, "text": wanted, "in": place}
        shown = [
            {"index": hit.index, "id": hit.row.id, "question": hit.row.question}
            | {"found": [asdict(found) for found in hit.found]}
            for hit in hits
        ]
        print_json(facts | {"total": len(indices), "hits": shown})
    elif not hits:
        print(
            f"{catalogue.source.name}: no {place or 'question, context or answer'} has {wanted!r}"
        )
    else:
        show_hits(hits, 0, len(indices), f"--limit {len(indices)} shows all")


def _stats(browser: "Browser", as_json: bool) -> None:
    from qa_research.browse.overview import overview

    counting = None
    if (tokenizer := browser.tokenizer) is not None:
        from qa_research.browse.view import count_tokens

        def counting(texts: Any) -> list[int]:
            return count_tokens(texts, tokenizer)

    found = overview(browser.catalogue.all(), counting)
    _say_if_no_tokenizer(browser)
    name = browser.catalogue.source.name
    if as_json:
        facts = {"source": name, "tokenizer": browser.tokenizer_name}
        print_json(facts | asdict(found))
    else:
        from qa_research.browse.overview import show_overview

        show_overview(found, name, browser.tokenizer_name)


def _repeats(runs: Path, as_json: bool, useless: list[str]) -> None:
    from qa_research.efficacy.show import show_repeats
    from qa_research.efficacy.standings import repeated
    from qa_research.ledger.runs import LEDGER, Ledger

    if useless:
        raise ValueError(f"--repeats reads the ledger of --runs; leave {useless[0]} away")
    with Ledger(runs.expanduser() / LEDGER, read_only=True) as ledger:
        found = repeated(ledger)
    if as_json:
        print_json([repeats.as_json() for repeats in found])
    else:
        show_repeats(found)


def _index(which: str | None) -> int | None:
    """The index that is named, or None for `random` and where nothing is."""
    if which in (None, "random"):
        return None
    if not which.isdecimal():
        raise ValueError(
            f"{which!r} is no index; give a number from 0, random, --id {which} or --search {which}"
        )
    return int(which)


def _check_options(
    search: str | None,
    place: str | None,
    seed: int | None,
    which: str | None,
    interactive: bool,
    tokenizer: str | None,
    run: str | None,
    checkpoint: str,
) -> None:
    """Refuse options that would have no effect."""
    if place is not None and search is None:
        raise ValueError(f"--in={place} belongs to --search TEXT")
    if place not in (None, "question", "context", "answer"):
        raise ValueError(f"--in must be question, context or answer, got {place!r}")
    if search is not None and not search.strip():
        raise ValueError("--search is empty; give the text to look for")
    if seed is not None and which != "random" and not interactive:
        raise ValueError(f"--seed={seed} belongs to random: qa-research squad random --seed {seed}")
    if run is None and checkpoint != "best":
        raise ValueError(f"--checkpoint={checkpoint} belongs to --run RUN")
    if run is not None and tokenizer is not None:
        raise ValueError(f"--tokenizer={tokenizer} cannot be had with --run, which brings its own")


def _say_if_no_tokenizer(browser: "Browser") -> None:
    if browser.tokenizer is None:
        print(NO_TOKENIZER, file=sys.stderr)
