"""The verbs that question a trained run, or score answers: evaluate, predict, score, ask, export."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from qa_research.cli.examples import (
    ask_example,
    evaluate_examples,
    examples_of,
    named_inputs,
    not_asked_with,
    predict_examples,
    results_folder,
)
from qa_research.cli.options import (
    DEFAULT_CHECKPOINT,
    DEFAULT_ENCODING,
    DEFAULT_FORMAT,
    DEFAULT_N_BEST,
    DEFAULT_RUNS,
    NO_DATA,
    AsJson,
    Checkpoint,
    Context,
    ContextFile,
    Data,
    Encoding,
    First,
    Inputs,
    Model,
    NBest,
    OnBadRows,
    OneSequence,
    Out,
    PictureFormat,
    Run,
    Runs,
    Second,
    Split,
    Threads,
    a_number,
    as_answerer,
    check_options_of_file,
    checked_format,
    given_text,
    is_id,
    look_into,
    opened_of_any_task,
    split_or_file,
)
from qa_research.text import plural, print_json, print_line, print_note

if TYPE_CHECKING:
    from qa_research.tasks.answering.decode import Answer
    from qa_research.tasks.answering.evaluation import Evaluation
    from qa_research.tasks.answering.question import OnBadRows as Bad
    from qa_research.tasks.answering.question import Question
    from qa_research.tasks.answering.score import Rules
    from qa_research.tasks.answering.trained import TrainedAnswerer
    from qa_research.tasks.opened import Examples


def evaluate(
    run: Model,
    split: Split = None,
    data: Data = None,
    encoding: Encoding = DEFAULT_ENCODING,
    on_bad_rows: OnBadRows = "error",
    checkpoint: Checkpoint = DEFAULT_CHECKPOINT,
    wrong: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="also show the N wrong answers that are most confident"
        ),
    ] = None,
    out: Out = None,
    runs: Runs = DEFAULT_RUNS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Score a run: exact match and F1.

    With 95 % intervals, overall and by kind of question; writes predictions.json, the n best, and what was
    answered wrongly (mistakes.csv). Questions without an 'answers' are answered, not scored. A run of another
    task is scored by its own metrics.
    """
    asked = split_or_file(split, data)
    choice = check_options_of_file(data, encoding, on_bad_rows)
    opened = opened_of_any_task(run, checkpoint, runs, threads, data)
    if (answerer := as_answerer(opened)) is None:
        examples = examples_of(opened, split, data, encoding, on_bad_rows)
        folder = results_folder(opened, asked, data, out, examples.rows)
        evaluate_examples(opened, examples, folder, wrong, as_json)
    else:
        _evaluate_answers(answerer, (asked, data, encoding, choice), wrong, out, as_json)
    _remember(run, runs, out)


def _evaluate_answers(
    opened: "TrainedAnswerer",
    data_named: "tuple[str, Path | None, str, Bad]",
    wrong: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Score answers to questions by SQuAD's rules."""
    asked, data, encoding, choice = data_named
    found = _questions(opened, asked, encoding, choice)
    questions = found.rows
    opened = opened.suited_to(questions)
    folder = results_folder(opened, asked, data, out, questions)
    answers = opened.answer(questions)
    unlabelled = sum(not row.is_labelled for row in questions)
    if unlabelled:
        print_note(
            f"{unlabelled} of {len(questions)} questions have no 'answers': they are answered, and no score "
            "is counted of them",
        )
    if unlabelled == len(questions):
        _write_predictions(folder, answers, as_json)
        return
    from qa_research.efficacy.chosen import note_on_luck
    from qa_research.tasks.answering.evaluation import evaluate as score_answers
    from qa_research.tasks.answering.score import note_on_unspaced

    pairs = [pair for pair in zip(questions, answers, strict=True) if pair[0].is_labelled]
    labelled = [question for question, _ in pairs]
    result = score_answers(labelled, [answer for _, answer in pairs], found.choosing)
    if luck := note_on_luck(opened, found, asked):
        print_note(luck)
    if note := note_on_unspaced(labelled):
        print_note(note)
    _show_and_write(result, answers, wrong, folder, as_json)
    if not as_json:
        print_line(f"\n{opened.label} of {opened.name}, rules of SQuAD {result.rules}")
        print_line(
            "predictions.json, n_best.json, null_odds.json, scores.json and mistakes.csv "
            f"({plural(len(result.mistakes), 'wrong answer')}) are in {folder}"
        )
    _keep(opened, asked, found, answers)


def _remember(run: str, runs: Path, out: Path | None) -> None:
    """Let a model be named as it was printed; nothing is written among the runs if --out names a place."""
    from qa_research.runs.named import remember

    if out is None:
        remember(run, runs)


def _show_and_write(
    result: "Evaluation",
    answers: "Sequence[Answer]",
    wrong: int | None,
    folder: Path,
    as_json: bool,
) -> None:
    """Show scores, and so many wrong answers, before they are written: the disk may be full."""
    from qa_research.tasks.answering.evaluation import show_evaluation, write_evaluation
    from qa_research.tasks.answering.mistakes import show_mistakes

    if as_json:
        shown = {"wrong": [m.as_json() for m in result.mistakes[:wrong]]} if wrong else {}
        print_json(result.as_json() | shown | {"files": str(folder)})
    else:
        show_evaluation(result)
        if wrong:
            show_mistakes(result.mistakes, wrong)
    write_evaluation(folder, answers, result)


def _keep(
    opened: "TrainedAnswerer", asked: str, found: "Examples[Question]", answers: "Sequence[Answer]"
) -> None:
    """Keep the telling answers to the run's own validation questions, for its report."""
    if asked != "validation":
        return
    from qa_research.capture.answers import candidates_of, keep_answers
    from qa_research.tasks.answering.trained import name_of

    candidates = candidates_of(found.rows, answers, found.choosing)
    keep_answers(opened, "validation", name_of(opened.config, asked)[0], candidates)


def predict(
    run: Model,
    split: Split = None,
    data: Data = None,
    encoding: Encoding = DEFAULT_ENCODING,
    on_bad_rows: OnBadRows = "error",
    checkpoint: Checkpoint = DEFAULT_CHECKPOINT,
    out: Out = None,
    runs: Runs = DEFAULT_RUNS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Answer questions, without a score.

    Writes predictions.json and the n best, as evaluate does; the questions need no 'answers'.
    """
    asked = split_or_file(split, data)
    choice = check_options_of_file(data, encoding, on_bad_rows)
    opened = opened_of_any_task(run, checkpoint, runs, threads, data)
    if (answerer := as_answerer(opened)) is None:
        examples = examples_of(opened, split, data, encoding, on_bad_rows)
        folder = results_folder(opened, asked, data, out, examples.rows)
        predict_examples(opened, examples, folder, as_json)
    else:
        questions = _questions(answerer, asked, encoding, choice).rows
        answerer = answerer.suited_to(questions)
        folder = results_folder(answerer, asked, data, out, questions)
        _write_predictions(folder, answerer.answer(questions), as_json)
    _remember(run, runs, out)


def _questions(
    opened: "TrainedAnswerer", asked: str, encoding: str, on_bad_rows: "Bad"
) -> "Examples[Question]":
    """The questions that --split or --data names; those of a file need no answers."""
    from qa_research.tasks.answering.trained import FileReading, run_questions

    reading = FileReading(encoding, on_bad_rows, needs_labels=False, tokenizer=opened.tokenizer)
    return run_questions(opened.config, opened.record, asked, reading)


def _write_predictions(folder: Path, answers: "Sequence[Answer]", as_json: bool) -> None:
    from qa_research.tasks.answering.predictions import write_answers

    write_answers(folder, answers)
    if as_json:
        print_json({"questions": len(answers), "files": str(folder)})
        return
    print_line(f"{len(answers)} questions answered")
    print_line(f"predictions.json, n_best.json and null_odds.json are in {folder}")


def score(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTIONS",
            help="JSON: question id -> answer text, or rows with id and prediction_text",
        ),
    ],
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="the questions, in any format that training reads"),
    ],
    rules: Annotated[
        str,
        typer.Option(metavar="NAME", help="v1.1, v2.0, or auto: v2.0 if a question has no answer"),
    ] = "auto",
    null_odds: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON: question id -> score for no answer")
    ] = None,
    null_threshold: Annotated[
        float,
        typer.Option(metavar="ODDS", help="higher odds mean no answer", callback=a_number),
    ] = 1.0,
    encoding: Encoding = DEFAULT_ENCODING,
    on_bad_rows: Annotated[
        str, typer.Option("--on-bad-rows", metavar="NAME", help="of DATA: error or drop")
    ] = "error",
    as_json: AsJson = False,
) -> None:
    """Score predictions by the official SQuAD evaluation.

    By the rules v1.1 or v2.0. PREDICTIONS that are UTF-8 are read as such, whatever the encoding of DATA.
    """
    from qa_research.console import start_logging
    from qa_research.tasks.answering.evaluation import (
        evaluate_v1,
        evaluate_v2,
        intervals_as_json,
        show_official,
        summary_as_official,
    )
    from qa_research.tasks.answering.predictions import check_fit, read_null_odds, read_predictions
    from qa_research.tasks.answering.score import rules_for

    start_logging()
    _check_scoring(rules, on_bad_rows)
    questions = _labelled(data, encoding, drop=on_bad_rows == "drop")
    answered = read_predictions(predictions, encoding)
    check_fit(questions, answered.texts)
    chosen: Rules = rules_for(questions) if rules == "auto" else cast("Rules", rules)
    if null_odds is not None and chosen == "v1.1":
        raise ValueError(
            "--null-odds is for the rules v2.0, and these questions are scored by v1.1"
        )
    odds = read_null_odds(null_odds) if null_odds else answered.null_odds
    if chosen == "v1.1":
        result = evaluate_v1(questions, answered.texts)
    else:
        result = evaluate_v2(questions, answered.texts, odds, null_threshold)
    overall = summary_as_official(questions, answered.texts, chosen, odds, null_threshold)
    for note in _notes(questions, answered.texts, chosen):
        print_note(note)
    if as_json:
        print_json(result | intervals_as_json(overall))
    else:
        show_official(result, overall)


def _check_scoring(rules: str, on_bad_rows: str) -> None:
    if rules not in ("auto", "v1.1", "v2.0"):
        raise ValueError(f"--rules must be auto, v1.1 or v2.0, got {rules!r}")
    if on_bad_rows not in ("error", "drop"):
        raise ValueError(
            f"--on-bad-rows must be error or drop, got {on_bad_rows!r}; scoring needs no offsets"
        )


def _labelled(data: Path, encoding: str, drop: bool) -> "list[Question]":
    """The questions of DATA that can be scored; says how many cannot.

    Raises:
        ValueError: it has none, or, without `drop`, one with a fault.
    """
    from qa_research.tasks.answering.question import readable
    from qa_research.tasks.answering.squad import read_questions

    questions = read_questions(data, "DATA", encoding, "--encoding")
    faults = [f"{readable(row.id)}: {readable(row.fault)}" for row in questions if row.fault]
    if faults:
        what = f"{len(faults)} of {len(questions)} questions cannot be scored (first: {faults[0]})"
        if not drop:
            raise ValueError(f"DATA={data}: {what}; --on-bad-rows drop leaves them out")
        print_note(f"{what}; they are left out")
        questions = [row for row in questions if not row.fault]
    labelled = [row for row in questions if row.is_labelled]
    if not labelled:
        raise ValueError(
            f"DATA={data} has no 'answers' to any question, so there is nothing to score"
        )
    if len(labelled) < len(questions):
        first = next(readable(row.id) for row in questions if not row.is_labelled)
        print_note(
            f"{len(questions) - len(labelled)} of {len(questions)} questions have no 'answers' and are not "
            f"scored (first: {first})",
        )
    return labelled


def _notes(
    questions: "Sequence[Question]", predictions: Mapping[str, str], rules: str
) -> Iterator[str]:
    """What a reader of the scores should know of the questions and predictions."""
    from qa_research.tasks.answering.score import note_on_unspaced

    missing = sum(row.id not in predictions for row in questions)
    if missing:
        counts = "count 0" if rules == "v1.1" else "are skipped, as in the official script"
        yield f"{missing} of {len(questions)} questions have no prediction and {counts}"
    repeated = len(questions) - len({row.id for row in questions})
    if repeated:
        counts = "counts again" if rules == "v1.1" else "replaces the earlier one"
        yield (
            f"{repeated} of {len(questions)} questions have the id of an earlier one, and each {counts}, as "
            "in the official script"
        )
    if note := note_on_unspaced(questions):
        yield note


def ask(
    run: Model,
    question: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT|ID",
            help="what to ask; without a text to ask, the id of one of the run's questions",
        ),
    ] = None,
    context: Context = None,
    context_file: ContextFile = None,
    first: First = None,
    second: Second = None,
    sequence: OneSequence = None,
    inputs: Inputs = None,
    encoding: Encoding = DEFAULT_ENCODING,
    checkpoint: Checkpoint = DEFAULT_CHECKPOINT,
    n_best: NBest = DEFAULT_N_BEST,
    look: Annotated[
        bool,
        typer.Option(
            "--look",
            help="also write a page and pictures: scores by token, a unit's trace, attention",
        ),
    ] = False,
    unit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="with --look: whose trace is drawn",
            show_default="the unit that counts most for the answer's start",
        ),
    ] = None,
    picture_format: PictureFormat = DEFAULT_FORMAT,
    out: Out = None,
    runs: Runs = DEFAULT_RUNS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Ask a run or a model a question about a text.

    The answer, its probability, where it is in the text, and the next best candidates. A run of another task
    is asked with what its examples are made of: a pair with --first and --second, a sequence with --sequence.
    """
    of_a_text = context if context_file is None else str(context_file)
    given = {"question": question, "context": of_a_text, "first": first, "second": second}
    given |= {"sequence": sequence}
    asked = {name: text for name, text in given.items() if text is not None} | named_inputs(inputs)
    if question is None or not asked.keys() <= {"question", "context"}:
        if look:
            raise ValueError(
                "--look draws how a question is answered; give --question and --context"
            )
        ask_example(
            opened_of_any_task(run, checkpoint, runs, threads, is_quick=True),
            asked,
            n_best,
            as_json,
        )
        return
    by_id = is_id(question, context, context_file)
    text = "" if by_id else given_text(context, context_file, encoding)
    _check_look(look, unit, out, picture_format)
    asked_itself = None if by_id else NO_DATA
    of_any = opened_of_any_task(run, checkpoint, runs, threads, asked_itself, is_quick=not look)
    if (opened := as_answerer(of_any)) is None:
        raise not_asked_with(of_any, asked)
    if by_id:
        question, text = opened.question(question)
    seen = look_into(opened, (question, text), unit, out, picture_format) if look else None
    answer = opened.ask(question, text) if seen is None else seen.answer
    if as_json:
        from dataclasses import asdict

        shown = asdict(answer)
        shown["candidates"] = shown["candidates"][:n_best]
        print_json(shown | ({"look": seen.as_json()} if seen else {}))
        return
    from qa_research.tasks.answering.shown import show_answer

    show_answer(answer, text, n_best)
    if seen:
        from qa_research.watch.look import show_look

        show_look(seen)


def _check_look(look: bool, unit: int | None, out: Path | None, picture_format: str) -> None:
    """Refuse what only --look uses, where that is not given."""
    checked_format(picture_format)
    chosen = None if picture_format == DEFAULT_FORMAT else picture_format
    for name, value in {"--unit": unit, "--out": out, "--format": chosen}.items():
        if value is not None and not look:
            raise ValueError(f"{name} belongs to --look, which draws what it names")


def export(
    run: Run,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="a new directory")],
    checkpoint: Checkpoint = DEFAULT_CHECKPOINT,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Export a run as a Hugging Face directory.

    from_pretrained(DIR) then returns a network with equal logits.
    """
    from qa_research.console import start_logging
    from qa_research.files import check_new
    from qa_research.runs.directory import check_writable
    from qa_research.runs.named import find_model

    directory = directory.expanduser()
    check_new(directory)
    check_writable(directory, "another DIR")
    from qa_research.runs.open import open_run
    from qa_research.tasks.answering.trained import answerer_of

    start_logging()
    if not find_model(run, runs).is_run:
        raise ValueError(f"{run} is a Hugging Face model already; export makes one of a run")
    opened = answerer_of(open_run(run, checkpoint, runs))
    opened.export(directory)
    print_line(f"{type(opened.network).__name__}.from_pretrained({str(directory)!r})")
