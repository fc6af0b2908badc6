"""How batches of windows hang together with questions, for `qa-research sanity`."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.windows import Windows
from qa_research.tasks.wired_texts import shown, spelled_by, wiring_of_texts
from qa_research.tasks.wiring import Batch, Lost, ShownRow, Wiring

if TYPE_CHECKING:
    from qa_research.tasks.answering.task import AnsweringTask

NO_ANSWER = "(no answer)"


def wiring_of(task: "AnsweringTask") -> Wiring:
    """The wiring of a network that chooses the first and the last token of an answer."""
    module, data = task.module, task.data

    def scores(batch: Batch) -> Tensor:
        output = module.network(**module.inputs_of(dict(batch)))
        return torch.stack([output.start_logits, output.end_logits], dim=1)

    def show(batch: Batch, row: int) -> ShownRow:
        window = int(batch["window"][row])
        question = data.train[int(data.train_windows.question[window])]
        return _shown(batch, row, data.train_windows, question, module.tokenizer)

    def build(other: Any, seed: int) -> None:
        other.tokenizer = module.tokenizer
        other.build(seed, task.answering)

    return wiring_of_texts(
        module,
        ("question", "context"),
        outputs="spans",
        labels=("start_positions", "end_positions"),
        scores=scores,
        show=show,
        examples=lambda split: [
            (row.id, (row.context, row.question)) for row in getattr(data, split)
        ],
        lost=lambda: _lost(task),
        same_on_purpose=data.validate_on_train,
        build=build,
    )


def _lost(task: "AnsweringTask") -> Lost:
    found = task.exactness["train"]
    return Lost(
        found.no_window + found.too_long,
        found.answers,
        "data.max_tokens, data.stride_tokens and answer.max_answer_tokens",
    )


def _shown(
    batch: Batch, row: int, windows: Windows, question: Question, tokenizer: Any
) -> ShownRow:
    text = windows.text(int(batch["window"][row]), question.context, tokenizer)
    ids = batch["input_ids"][row].tolist()
    first, last = int(batch["start_positions"][row]), int(batch["end_positions"][row])
    inside = 0 < first <= last < len(text)
    # A label outside the context, or one that ends before it starts, spells nothing of the context.
    label = text.text(first, last) if inside else f"(tokens {first} to {last})"
    begin, end = text.context_chars
    return shown(
        batch,
        row,
        tokenizer,
        text.parts,
        id=question.id,
        label=NO_ANSWER if (first, last) == (0, 0) else label,
        truth=_truth(question, begin, end),
        spelled=spelled_by([ids[token] for token in text.context_tokens], tokenizer),
        source=question.context[begin:end],
    )


def _truth(question: Question, begin: int, end: int) -> str:
    """The first gold answer, if the characters from `begin` to `end` of the context hold it."""
    if not question.answers:
        return NO_ANSWER
    gold = question.answers[0]
    held = begin <= gold.start and gold.start + len(gold.text.rstrip()) <= end
    return gold.text.strip() if held else NO_ANSWER
