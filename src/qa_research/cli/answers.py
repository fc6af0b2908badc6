"""The verbs that question a trained run, or score answers: evaluate, score, ask, export."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qa_research.cli.options import (
    DEFAULT_CHECKPOINT,
    DEFAULT_RUNS,
    AsJson,
    Checkpoint,
    Context,
    ContextFile,
    Data,
    Out,
    Run,
    Runs,
    Split,
    given_text,
    print_json,
    split_or_file,
)

if TYPE_CHECKING:
    from qa_research.tasks.answering.trained import TrainedAnswerer


def evaluate(
    run: Run,
    split: Split = None,
    data: Data = None,
    checkpoint: Checkpoint = DEFAULT_CHECKPOINT,
    out: Out = None,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Score a run: exact match and F1.

    With 95 % intervals, overall and by kind of question; writes predictions.json and the n best.
    """
    from qa_research.tasks.answering.evaluation import evaluate as score_answers
    from qa_research.tasks.answering.evaluation import show_evaluation, write_evaluation
    from qa_research.tasks.answering.trained import questions_of
    from qa_research.tasks.answering.windows import fingerprint

    asked = split_or_file(split, data)
    opened = _open(run, checkpoint, runs)
    questions = questions_of(opened.config, opened.record, asked)
    answers = opened.answer(questions)
    result = score_answers(questions, answers)
    name = f"{Path(asked).stem}-{opened.checkpoint.stem}"
    if data is not None:
        # Two files may have one name.
        name += f"-{fingerprint(questions)[:8]}"
    folder = out or opened.directory / "predictions" / name
    write_evaluation(folder, answers, result)
    if as_json:
        print_json(result.as_json() | {"files": str(folder)})
        return
    show_evaluation(result)
    print(f"\n{opened.checkpoint.stem} of {opened.directory.name}, rules of SQuAD {result.rules}")
    print(f"predictions.json, n_best.json, null_odds.json and scores.json are in {folder}")


def score(
    predictions: Annotated[
        Path, typer.Argument(metavar="PREDICTIONS", help="JSON: question id -> answer text")
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
        float, typer.Option(metavar="ODDS", help="higher odds mean no answer")
    ] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Score any predictions.

    The official SQuAD evaluation, v1.1 or v2.0.
    """
    from qa_research.tasks.answering.evaluation import (
        check_fit,
        evaluate_v1,
        evaluate_v2,
        read_null_odds,
        read_predictions,
    )
    from qa_research.tasks.answering.score import rules_for
    from qa_research.tasks.answering.squad import read_questions

    if rules not in ("auto", "v1.1", "v2.0"):
        raise ValueError(f"--rules must be auto, v1.1 or v2.0, got {rules!r}")
    questions = read_questions(data, "DATA")
    answered = read_predictions(predictions)
    check_fit(questions, answered)
    chosen = rules_for(questions) if rules == "auto" else rules
    if chosen == "v1.1":
        result = evaluate_v1(questions, answered)
    else:
        odds = read_null_odds(null_odds) if null_odds else None
        result = evaluate_v2(questions, answered, odds, null_threshold)
    missing = sum(row.id not in answered for row in questions)
    if missing:
        counts = "count 0" if chosen == "v1.1" else "are skipped, as in the official script"
        print(
            f"{missing} of {len(questions)} questions have no prediction and {counts}",
            file=sys.stderr,
        )
    if as_json:
        print_json(result)
        return
    for key, value in result.items():
        print(f"{key:<28}{value:>10.3f}" if isinstance(value, float) else f"{key:<28}{value:>10}")


def ask(
    run: Run,
    question: Annotated[str, typer.Option(metavar="TEXT", help="what to ask")],
    context: Context = None,
    context_file: ContextFile = None,
    checkpoint: Checkpoint = DEFAULT_CHECKPOINT,
    n_best: Annotated[
        int, typer.Option(metavar="N", min=1, help="how many candidates to show")
    ] = 5,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Ask a run a question about a text.

    The answer, its probability, where it is in the text, and the next best candidates.
    """
    from qa_research.tasks.answering.evaluation import show_answer

    text = given_text(context, context_file)
    answer = _open(run, checkpoint, runs).ask(question, text)
    if as_json:
        from dataclasses import asdict

        shown = asdict(answer)
        shown["candidates"] = shown["candidates"][:n_best]
        print_json(shown)
    else:
        show_answer(answer, text, n_best)


def export(
    run: Run,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="a new directory")],
    checkpoint: Checkpoint = DEFAULT_CHECKPOINT,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Export a run as a Hugging Face directory.

    from_pretrained(DIR) then returns a network with equal logits.
    """
    opened = _open(run, checkpoint, runs)
    opened.export(directory)
    print(f"{type(opened.network).__name__}.from_pretrained({str(directory)!r})")


def _open(run: str, checkpoint: str, runs: Path) -> "TrainedAnswerer":
    from qa_research.console import start_logging

    start_logging()
    from qa_research.runs.open import open_run

    opened: TrainedAnswerer = open_run(run, checkpoint, runs)
    return opened
