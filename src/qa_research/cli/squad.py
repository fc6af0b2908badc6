"""`qa-research squad ...`: look at questions one by one, search them, count them."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from qa_research.cli.options import (
    DATA_HELP,
    DEFAULT_CHECKPOINT,
    DEFAULT_ENCODING,
    DEFAULT_RUNS,
    SEED_HELP,
    SPLIT_HELP,
    AsJson,
    Checkpoint,
    Encoding,
    Runs,
    ShortForm,
    Threads,
    check_encoding_has_a_file,
    verb_group,
)
from qa_research.text import print_json, print_line, print_note
from qa_research.threads import use_threads_of_tokenizers

if TYPE_CHECKING:
    from qa_research.browse.view import Browser
    from qa_research.tasks.answering.source import NamedSource


class SquadVerbs(ShortForm):
    """`squad 17363` shows a question, `squad` by itself browses; --search and others were options once."""

    default = "show"
    alone = "browse"
    renamed: ClassVar[dict[str, str]] = {
        "--search": "squad search TEXT",
        "--in": "squad search TEXT --in PLACE",
        "--limit": "squad search TEXT --limit N",
        "--stats": "squad stats",
        "--repeats": "squad repeats",
        "--id": "squad show --question ID",
    }


squad_app = verb_group(
    "Look at questions: one by one, by search, or in numbers.\n\n"
    "squad 17363 is short for squad show 17363, and squad for squad browse.",
    SquadVerbs,
)

OF_SET = "as --data names one; of one with splits, NAME:train or NAME:validation"
DataSet = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="SOURCE",
        help=DATA_HELP,
        show_default="builtin, or the questions of the run",
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        "--split",
        metavar="NAME",
        help=SPLIT_HELP,
        show_default="train; with --run validation, as efficacy asks",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", metavar="N", min=0, help=SEED_HELP, show_default="a new draw each time"),
]
Tokenizer = Annotated[
    str | None,
    typer.Option(
        "--tokenizer",
        metavar="NAME",
        help="a directory, a hub id, or package:NAME/PATH",
        show_default="the packaged one",
    ),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        "--max-tokens",
        metavar="N",
        min=8,
        help="tokens of a window",
        show_default="384; builtin 128",
    ),
]
StrideTokens = Annotated[
    int | None,
    typer.Option(
        "--stride-tokens",
        metavar="N",
        min=0,
        help="tokens that two neighbouring windows share",
        show_default="128; builtin 32",
    ),
]
OfRun = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="RUN",
        help="show the answer of this run or Hugging Face model; a run brings its questions",
    ),
]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="how many hits to show")]
DEFAULT_LIMIT = 20
Cache = Annotated[
    Path, typer.Option("--cache", metavar="DIR", help="where catalogues of questions are kept")
]
DEFAULT_CACHE = Path("cache")


@squad_app.command()
def show(
    which: Annotated[
        str | None, typer.Argument(metavar="INDEX|random", help="an index from 0, or random")
    ] = None,
    question: Annotated[
        str | None,
        typer.Option(metavar="TEXT|ID", help="the question with this id, or in these words"),
    ] = None,
    data: DataSet = None,
    split: Split = None,
    encoding: Encoding = DEFAULT_ENCODING,
    seed: Seed = None,
    tokenizer: Tokenizer = None,
    max_tokens: MaxTokens = None,
    stride_tokens: StrideTokens = None,
    run: OfRun = None,
    checkpoint: Checkpoint = DEFAULT_CHECKPOINT,
    cache: Cache = DEFAULT_CACHE,
    runs: Runs = DEFAULT_RUNS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Show a question by its index or id, or a random one.

    With its context, answers and windows, and the answer of a run. Without INDEX and --question it browses.
    """
    browsing = _browsing(
        data,
        split,
        encoding,
        run,
        runs,
        cache,
        checkpoint,
        tokenizer,
        max_tokens,
        stride_tokens,
        seed,
        threads,
    )
    if which is None and question is None:
        _browse(browsing, DEFAULT_LIMIT, is_possible=not as_json)
        return
    if which is not None and question is not None:
        raise ValueError(f"{which} and --question {question} are two questions; name one of them")
    index = _index(which)
    if seed is not None and which != "random":
        raise ValueError(f"--seed={seed} belongs to random: qa-research squad random --seed {seed}")
    with browsing as browser:
        if question is not None:
            index = browser.catalogue.index_of(question)
        viewed = browser.view(browser.random_index() if index is None else index)
        _say_if_no_tokenizer(browser)
        if as_json:
            print_json(viewed.as_json())
            return
        from qa_research.browse.show import show_question

        show_question(viewed)


@squad_app.command()
def search(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="what to look for, in any case")],
    place: Annotated[
        str | None,
        typer.Option(
            "--in",
            metavar="PLACE",
            help="question, context or answer",
            show_default="all of them",
        ),
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    data: DataSet = None,
    split: Split = None,
    encoding: Encoding = DEFAULT_ENCODING,
    run: OfRun = None,
    cache: Cache = DEFAULT_CACHE,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Find all questions that contain a text.

    In the question, its context or an answer, in upper or lower case.
    """
    if place not in (None, "question", "context", "answer"):
        raise ValueError(f"--in must be question, context or answer, got {place!r}")
    from qa_research.browse.show import show_hits

    with _browsing(data, split, encoding, run, runs, cache) as browser:
        catalogue = browser.catalogue
        indices = catalogue.search(text, place)
        hits = browser.hits(indices[:limit], text, place)
    if as_json:
        facts = {"source": catalogue.source.name, "text": text, "in": place}
        shown = [hit.as_json() for hit in hits]
        print_json(facts | {"total": len(indices), "hits": shown})
    elif not hits:
        where = place or "question, context or answer"
        print_line(f"{catalogue.source.name}: no {where} contains {text!r}")
    else:
        show_hits(hits, 0, len(indices), f"--limit {len(indices)} shows all")


@squad_app.command()
def stats(
    data: DataSet = None,
    split: Split = None,
    encoding: Encoding = DEFAULT_ENCODING,
    tokenizer: Tokenizer = None,
    run: OfRun = None,
    cache: Cache = DEFAULT_CACHE,
    runs: Runs = DEFAULT_RUNS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Summarize a data set.

    Lengths, kinds of question, answers, repetitions and faults.
    """
    from qa_research.browse.overview import overview, show_exactness, show_overview

    use_threads_of_tokenizers(threads)
    with _browsing(data, split, encoding, run, runs, cache, tokenizer=tokenizer) as browser:
        counting = None
        if (counted_with := browser.tokenizer) is not None:
            from qa_research.browse.view import count_tokens

            def counting(texts: Any) -> list[int]:
                return count_tokens(texts, counted_with)

        found = overview(browser.catalogue.all(), counting)
        _say_if_no_tokenizer(browser)
        exact = browser.exactness()
        name = browser.catalogue.source.name
        if as_json:
            exactly = {} if exact is None else {"exactness": exact.as_json()}
            facts = {"source": name, "tokenizer": browser.tokenizer_name}
            print_json(facts | asdict(found) | exactly)
        else:
            show_overview(found, name, browser.tokenizer_name)
            if exact is not None:
                show_exactness(exact, browser.max_answer_tokens)


@squad_app.command(name="shift")
def compare_sets(
    first: Annotated[str, typer.Argument(metavar="A", help=OF_SET)],
    second: Annotated[str, typer.Argument(metavar="B", help="the one that is compared with it")],
    encoding: Encoding = DEFAULT_ENCODING,
    as_json: AsJson = False,
) -> None:
    """Show how far one data set is from another.

    Lengths, words, unseen words, and whether a classifier tells them apart; each beside chance.
    """
    from qa_research.browse.shift import shift, show_shift
    from qa_research.console import start_logging

    start_logging()
    one, other = (_named(asked, encoding) for asked in (first, second))
    found = shift((one.name, other.name), (one.read(), other.read()))
    if as_json:
        print_json(found.as_json())
    else:
        show_shift(found)


def _named(asked: str, encoding: str) -> "NamedSource":
    """The set of an argument, such as `builtin:train`."""
    from qa_research.tasks.answering.source import KNOWN, find_source, has_splits, taken_apart

    data, split = taken_apart(asked)
    if not has_splits(data) and not Path(data).expanduser().is_file():
        raise FileNotFoundError(f"{asked!r} does not exist; a data set is {KNOWN}")
    return find_source(data, split, encoding)


@squad_app.command()
def repeats(runs: Runs = DEFAULT_RUNS, as_json: AsJson = False) -> None:
    """Show which questions were asked more than once.

    From the ledger, for each checkpoint that was asked.
    """
    from qa_research.efficacy.show import show_repeats
    from qa_research.efficacy.standings import repeated
    from qa_research.ledger.runs import LEDGER, Ledger

    with Ledger(runs.expanduser() / LEDGER, read_only=True) as ledger:
        found = repeated(ledger)
    if as_json:
        print_json([repeats.as_json() for repeats in found])
    else:
        show_repeats(found)


@squad_app.command()
def browse(
    limit: Limit = DEFAULT_LIMIT,
    data: DataSet = None,
    split: Split = None,
    encoding: Encoding = DEFAULT_ENCODING,
    seed: Seed = None,
    tokenizer: Tokenizer = None,
    max_tokens: MaxTokens = None,
    stride_tokens: StrideTokens = None,
    run: OfRun = None,
    checkpoint: Checkpoint = DEFAULT_CHECKPOINT,
    cache: Cache = DEFAULT_CACHE,
    runs: Runs = DEFAULT_RUNS,
    threads: Threads = None,
) -> None:
    """Browse on a terminal: next, previous, random, search.

    The same as squad without any words; h helps.
    """
    browsing = _browsing(
        data,
        split,
        encoding,
        run,
        runs,
        cache,
        checkpoint,
        tokenizer,
        max_tokens,
        stride_tokens,
        seed,
        threads,
    )
    _browse(browsing, limit, is_possible=True)


@contextmanager
def _browsing(
    data: str | None,
    split: str | None,
    encoding: str,
    run: str | None,
    runs: Path,
    cache: Path,
    checkpoint: str = DEFAULT_CHECKPOINT,
    tokenizer: str | None = None,
    max_tokens: int | None = None,
    stride_tokens: int | None = None,
    seed: int | None = None,
    threads: int | None = None,
) -> "Iterator[Browser]":
    """The questions that the options name, opened for browsing."""
    check_encoding_has_a_file(encoding, data is not None, "--data FILE")
    if run is None and checkpoint != DEFAULT_CHECKPOINT:
        raise ValueError(f"--checkpoint={checkpoint} belongs to --run RUN")
    if run is None and threads is not None:
        raise ValueError(f"--threads={threads} belongs to --run RUN, whose network answers")
    if run is not None and tokenizer is not None:
        raise ValueError(
            f"--tokenizer={tokenizer} cannot be combined with --run, which brings its own"
        )
    from qa_research.console import start_logging

    start_logging()
    from qa_research.browse.catalogue import Catalogue
    from qa_research.browse.view import Browser, choose_source, choose_window

    named = None
    if run is not None:
        from qa_research.runs.named import find_model

        named = find_model(run, runs)
    source = choose_source(data, split, named, encoding)
    window = choose_window(source, named, max_tokens, stride_tokens, checkpoint, threads)
    with Catalogue(source, cache) as catalogue:
        yield Browser(catalogue, tokenizer, window, named, checkpoint, seed, threads)


def _browse(browsing: "AbstractContextManager[Browser]", limit: int, is_possible: bool) -> None:
    """Ask on the terminal what to show, until the person leaves."""
    if not (is_possible and sys.stdin.isatty() and sys.stdout.isatty()):
        raise ValueError(
            "browsing needs a terminal; elsewhere name what to show: squad show INDEX, squad show random, "
            "squad show --question ID, squad search TEXT, squad stats, or squad repeats"
        )
    with browsing as browser:
        from qa_research.browse.prompt import Prompt

        _say_if_no_tokenizer(browser)
        Prompt(browser, limit).run()


def _index(which: str | None) -> int | None:
    """The index that is named; None for `random`, and where none is."""
    if which in (None, "random"):
        return None
    if not which.isdecimal():
        raise ValueError(
            f"{which!r} is not an index; use a number from 0, random, --question {which}, or squad "
            f"search {which}"
        )
    return int(which)


def _say_if_no_tokenizer(browser: "Browser") -> None:
    if browser.tokenizer is None:
        print_note(
            "Token counts are skipped: use --tokenizer DIR, or pip install 'qa-research[offline]'",
        )
