"""Do windows, labels and scores equal the peers'? python benchmarks/parity.py SQUAD [PREDICTIONS].

Compares windows and labels with Hugging Face's question-answering example (padded to 384, stride 128), and
the scores of a predictions file with torchmetrics. Prints how many differ, and lists the labels that differ
on purpose: ours is the gold answer and the example's is not. Exits with 1 if anything else differs.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from qa_research.model.tokenizer import load_tokenizer
from qa_research.model.weights import PACKAGED
from qa_research.tasks.answering.evaluation import evaluate_v1
from qa_research.tasks.answering.predictions import read_predictions
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.squad import read_questions
from qa_research.tasks.answering.windows import Windows, make_windows

MAX_TOKENS, STRIDE_TOKENS = 384, 128
TOLERANCE = 1e-4


def main() -> None:
    """Compare and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("squad", type=Path)
    parser.add_argument("predictions", type=Path, nargs="?")
    arguments = parser.parse_args()
    questions = read_questions(arguments.squad, "SQUAD")
    differing = windows_that_differ(questions)
    if arguments.predictions:
        differing += scores_that_differ(questions, read_predictions(arguments.predictions).texts)
    sys.exit(differing > 0)


def windows_that_differ(questions: list[Question]) -> int:
    """How many windows have other tokens or labels than the example's by mistake; prints all that differ."""
    tokenizer = load_tokenizer(PACKAGED, "model.tokenizer")
    windows = make_windows(questions, tokenizer, MAX_TOKENS, STRIDE_TOKENS)
    number = differing = answered = intended = 0
    for row in questions:
        encoded = tokenizer(
            row.question.lstrip(),
            row.context,
            truncation="only_second",
            max_length=MAX_TOKENS,
            stride=STRIDE_TOKENS,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            padding="max_length",
        )
        for i, padded in enumerate(encoded["input_ids"]):
            length = sum(encoded["attention_mask"][i])
            tokens = windows.tokens(number)
            span = example_labels(encoded, i, tokenizer.cls_token_id, row)
            if span != (0, 0):
                answered += 1
            same_tokens = (
                windows.input_ids[tokens].tolist() == padded[:length]
                and windows.token_types[tokens].tolist() == encoded["token_type_ids"][i][:length]
            )
            mine = (int(windows.span_first[number]), int(windows.span_last[number]))
            if same_tokens and mine != span and is_intended(windows, number, row, span):
                intended += 1
                text = windows.text(number, row.context, tokenizer)
                print(
                    f"on purpose: {row.id}: gold {row.answers[0].text!r}, ours {text.text(*mine)!r}, the "
                    f"example's {text.text(*span)!r}"
                )
            elif not same_tokens or mine != span:
                differing += 1
                print(f"window {number} of question {row.id} differs; the example's label: {span}")
            number += 1
    print(
        f"{len(questions)} questions, {number} windows ({answered} with an answer): {differing} differ, "
        f"and {intended} labels differ on purpose"
    )
    if number != len(windows):
        print(f"the example makes {number} windows, make_windows makes {len(windows)}")
        differing += 1
    return differing


def is_intended(windows: Windows, number: int, row: Question, span: tuple[int, int]) -> bool:
    """Whether our label is the gold answer, and the example's `span` is not."""
    at = int(windows.starts[number])
    chars = windows.char_start[at:], windows.char_end[at:]
    mine = (windows.span_first[number], windows.span_last[number])
    ours, theirs = (row.context[chars[0][first] : chars[1][last]] for first, last in (mine, span))
    return ours == row.answers[0].text.strip() != theirs


def example_labels(encoded: Any, i: int, cls_token_id: int, row: Question) -> tuple[int, int]:
    """Start and end label by the example's rule: walk inwards from both ends of the context."""
    cls = encoded["input_ids"][i].index(cls_token_id)
    if not row.answers:
        return cls, cls
    offsets, parts = encoded["offset_mapping"][i], encoded.sequence_ids(i)
    begin = row.answers[0].start
    end = begin + len(row.answers[0].text)
    left, right = parts.index(1), len(parts) - 1 - parts[::-1].index(1)
    if offsets[left][0] > begin or offsets[right][1] < end:
        return cls, cls
    # As in the example, the walk continues into the padding if nothing stops it.
    while left < len(offsets) and offsets[left][0] <= begin:
        left += 1
    while offsets[right][1] >= end:
        right -= 1
    return left - 1, right + 1


def scores_that_differ(questions: list[Question], predictions: dict[str, str]) -> int:
    """How many of mean exact match and mean F1 differ from torchmetrics'."""
    from torchmetrics.functional.text import squad

    questions = [row for row in questions if row.id in predictions]
    mine = evaluate_v1(questions, predictions)
    theirs = squad(
        [{"id": row.id, "prediction_text": predictions[row.id]} for row in questions],
        [
            {
                "id": row.id,
                "answers": {
                    "text": [gold.text for gold in row.answers],
                    "answer_start": [gold.start for gold in row.answers],
                },
            }
            for row in questions
        ],
    )
    differing = 0
    for name in ("exact_match", "f1"):
        difference = abs(mine[name] - theirs[name].item())
        if difference > TOLERANCE:
            differing += 1
        print(
            f"{name} of {len(questions)} predictions: {mine[name]:.5f}, differs by {difference:.1e}"
        )
    print(json.dumps(mine))
    return differing


if __name__ == "__main__":
    main()
