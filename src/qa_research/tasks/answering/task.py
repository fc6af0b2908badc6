"""Extractive question answering as a task: what its runs read, measure, write and show."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor
from transformers import PreTrainedModel

from qa_research.model.bert import (
    check_window,
    count_parameters,
    input_names,
)
from qa_research.model.kept import write_network
from qa_research.tasks.answering.batches import padded_batch
from qa_research.tasks.answering.choosing import FEWEST_TO_DIVIDE, context_digest
from qa_research.tasks.answering.decode import Answer, AnswerSettings
from qa_research.tasks.answering.earlier_windows import made_otherwise
from qa_research.tasks.answering.facts import facts_of
from qa_research.tasks.answering.generalisation import generalisation, on_training
from qa_research.tasks.answering.labels import Exactness, exactness
from qa_research.tasks.answering.logits import LABELS
from qa_research.tasks.answering.score import rules_for, score_questions
from qa_research.tasks.answering.trained import TrainedAnswerer, answers_of, reopen
from qa_research.tasks.answering.watched import choose_questions, watched_windows
from qa_research.tasks.answering.windows import make_windows, windows_fingerprint
from qa_research.tasks.answering.wiring import wiring_of
from qa_research.tasks.pretraining import TextTask
from qa_research.tasks.task import Metric, StoredRun
from qa_research.tasks.watching import Watching
from qa_research.tasks.wiring import Wiring
from qa_research.text import command_line, plural

if TYPE_CHECKING:
    from qa_research.tasks.answering.data import QuestionData
    from qa_research.tasks.answering.module import QuestionAnswering

MOST_KINDS_SHOWN = 4
# How many training questions are asked again after a training: seconds of work, and enough for +-7 points.
MOST_ASKED_AGAIN, ASKED_AT_ONCE = 200, 20
# In percent: from here on `lookup` counts as learned.
LOOKUP_LEARNED = 90.0
# In points: so close to guessing, `match` counts as guessed.
CLOSE_TO_GUESSING = 10.0

# What to fill in; not quoted, since it holds quotes for what is typed.
ASKING = ' --question "..." --context "..."'


class AnsweringTask(TextTask):
    """Questions about a context whose answer is a span of it."""

    fingerprinted: ClassVar[Mapping[str, str]] = {
        "train": "training questions",
        "validation": "validation questions",
        "weights": "initial weights",
        "tokenizer": "pieces and rules of the tokenizer",
        "windows": "windows of tokens",
    }
    reopened: ClassVar[Sequence[str] | None] = ("answer",)
    data: "QuestionData"
    module: "QuestionAnswering"

    def __init__(
        self,
        examples: str,
        metrics: list[Metric],
        data: Any,
        model: Any,
        answer: AnswerSettings,
    ) -> None:
        super().__init__(examples, metrics, data, model)
        self.answering = answer
        self.exactness: dict[str, Exactness] = {}
        self.windows: str | None = None

    @property
    def network(self) -> PreTrainedModel:
        return self.module.network

    def load(self, cache: Path, seed: int) -> list[str]:
        self.data.load()
        tokenizer = self.module.make_tokenizer(self.data.train, cache)
        self.data.leave_out_too_long(tokenizer)
        self.answering = self.answering.resolved(self.data.has_unanswerable)
        report = self.module.build(seed, self.answering)
        check_window(self.network, self.data.max_tokens)
        window = make_windows(
            self.data.train[:1], tokenizer, self.data.max_tokens, self.data.stride_tokens
        )
        self.module.check_reading(window, int(tokenizer.pad_token_id))
        return list(report)

    def prepare(self, cache: Path, seed: int) -> None:
        data, tokenizer = self.data, self.module.tokenizer
        data.prepare(tokenizer, cache, seed)
        splits = {"train": (data.train, data.train_windows)}
        if not data.validate_on_train:
            splits["validation"] = (data.validation, data.validation_windows)
        self.exactness = {
            name: exactness(questions, windows, tokenizer, self.answering.max_answer_tokens)
            for name, (questions, windows) in splits.items()
        }
        self.windows = windows_fingerprint([data.train_windows, data.validation_windows])

    def example(self) -> dict[str, Tensor]:
        pad = int(self.module.tokenizer.pad_token_id)
        batch = padded_batch(self.data.train_windows, [0], pad)
        return {
            name: batch[name] for name in sorted(input_names(self.network) & batch.keys() - LABELS)
        }

    def watching(self, request: int | str | Sequence[str | int]) -> Watching:
        data, module = self.data, self.module
        # Drawn with the seed of the data, so that runs of several seeds watch the same questions.
        chosen = choose_questions(request, data.train, data.validation, data.seed)
        window = (data.max_tokens, data.stride_tokens)
        return Watching(
            watched=watched_windows(chosen, module.tokenizer, *window, self.answering),
            max_tokens=data.max_tokens,
            batch_size=data.batch_size,
            is_compiled=module.compiles,
        )

    def wiring(self) -> Wiring:
        return wiring_of(self)

    def fingerprints(self) -> dict[str, str]:
        found = self.own_fingerprints()
        return found | {"windows": self.windows} if self.windows else found

    def check_resumed(self, fingerprints: Mapping[str, str]) -> None:
        data = self.data
        if "windows" in fingerprints:
            return
        others = made_otherwise(
            data.train,
            data.train_windows,
            self.module.tokenizer,
            data.max_tokens,
            data.stride_tokens,
        )
        if others:
            raise ValueError(
                f"this run was begun by an earlier version, which made other windows of {len(others):,} of "
                f"{len(data.train):,} training questions (first: {others[0]}): their answers start or end "
                "with a blank or an accent, or their text spells a special token"
            )

    def facts(self) -> dict[str, Any]:
        return {
            "data": self.data.name,
            "questions": {
                "train": len(self.data.train),
                "validation": len(self.data.validation),
                "choosing": len(self.data.choosing),
            },
            "unanswerable": self.data.has_unanswerable,
            "bad_rows": [row.id for row in self.data.bad_rows],
            "moved_rows": [row.id for row in self.data.moved_rows],
            "shared_with_training": asdict(shared) if (shared := self.data.shared()) else None,
            "too_long": self.data.too_long,
            "exactness": {name: found.as_json() for name, found in self.exactness.items()},
            "guessing": self.data.guessing,
            **self.start_facts(),
        }

    def description(self) -> list[str]:
        data = self.data
        lines = [
            f"Data: {data.name}, {len(data.train):,} training and {len(data.validation):,} validation "
            f"questions in {len(data.train_windows):,} and {len(data.validation_windows):,} windows of "
            f"{data.train_windows.lengths.mean():.0f} tokens on average",
            f"Model: {self.module.name}, {count_parameters(self.network) / 1e6:.1f} million "
            f"parameters, {plural(torch.get_num_threads(), 'thread')}",
            *([data.origin] if data.origin else []),
            self._who_chooses(),
        ]
        shared = data.shared()
        if shared and (sentence := shared.sentence(len(data.validation))):
            lines.append(sentence)
        if guessing := data.guessing:
            shown = ", ".join(f"{kind} {value:.1f}" for kind, value in guessing.items())
            lines.append(
                f"Guessing among the candidates of the right kind earns exact match: {shown}"
            )
        for split, found in self.exactness.items():
            name = "training" if split == "train" else split
            lines += found.sentences(name, self.answering.max_answer_tokens)
        return lines

    def _who_chooses(self) -> str:
        """A sentence on which validation questions choose the best weights and end the training."""
        data = self.data
        total, count = len(data.validation), len(data.choosing)
        if not data.all_choose:
            return (
                f"{count:,} of the validation questions (data.choosing_share={data.choosing_share:g}, "
                f"data.seed={data.seed}) choose the best weights and end the training; val/... are the "
                f"scores of the other {total - count:,}, which choose nothing"
            )
        reason = "data.choosing_share=1"
        if data.choosing_share < 1:
            few = total < FEWEST_TO_DIVIDE
            reason = f"fewer than {FEWEST_TO_DIVIDE}" if few else "of one context"
            reason += " are not divided"
        return (
            f"All {plural(total, 'validation question')} choose the best weights ({reason}), so the best "
            "scores are partly luck"
        )

    def measured(self) -> list[str]:
        names = []
        choosing = [row for row in self.data.validation if row.id in self.data.choosing]
        for split, rows in {"val": self.data.fresh, "choosing": choosing}.items():
            kinds = sorted({row.kind for row in rows})
            names += [f"{split}/loss", f"{split}/exact_match", f"{split}/f1"]
            names += [f"{split}/{m}_{kind}" for m in ("exact_match", "f1") for kind in kinds]
        return names

    def may_choose(self) -> list[str]:
        names = self.measured()
        # With a share of 1, as versions until 0.2 have it, both are of all questions.
        all_may = self.data.choosing_share == 1
        return [name for name in names if all_may or name.startswith("choosing/")]

    def progress_text(self, measured: Mapping[str, float]) -> tuple[str, str]:
        text = f"EM {measured['val/exact_match']:.1f}  F1 {measured['val/f1']:.1f}"
        kinds = [f"{kind} {value:.1f}" for kind, value in _exact_match_by_kind(measured).items()]
        # A single kind is all questions; many kinds would fill the line.
        show_kinds = 1 < len(kinds) <= MOST_KINDS_SHOWN
        return text, f"  (EM by kind: {', '.join(kinds)})" if show_kinds else ""

    def predictions(self) -> list[dict[str, Any]]:
        rows = zip(self.data.validation, self.module.answers, self.module.scores, strict=True)
        return [
            asdict(score)
            | {
                "probability": answer.probability,
                "null_odds": answer.null_odds,
                "chose": row.id in self.data.choosing,
                "context_sha256": context_digest(row.context),
            }
            for row, answer, score in rows
        ]

    def afterwards(self, is_stopped: Callable[[], bool]) -> dict[str, Any]:
        data = self.data
        if data.validate_on_train:
            return {}
        network = self.network.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        window = (data.max_tokens, data.stride_tokens)
        count = min(len(data.choosing), MOST_ASKED_AGAIN)
        sample = data.sample_of_training(count)
        answers: list[Answer] = []
        for start in range(0, len(sample), ASKED_AT_ONCE):
            if is_stopped():
                return {}
            some = sample[start : start + ASKED_AT_ONCE]
            answers += answers_of(network, self.module.tokenizer, self.answering, window, some)
        predictions = {answer.question_id: answer.text for answer in answers}
        rules = rules_for(data.train)
        return {"on_training": on_training(score_questions(sample, predictions, rules))}

    def result(self, record: Mapping[str, Any]) -> list[str]:
        best: dict[str, float] = record["best"]
        guessing = facts_of(record).get("guessing", {})
        rows = [("all", best["val/exact_match"], best["val/f1"])]
        by_kind = _exact_match_by_kind(best)
        if len(by_kind) > 1:
            rows += [
                (kind, exact, best.get(f"val/f1_{kind}", math.nan))
                for kind, exact in by_kind.items()
            ]
        header = f"{'validation':<12}{'exact match':>12}{'F1':>8}"
        lines = [header + ("   guessing" if guessing else "")]
        for kind, exact, f1 in rows:
            guess = f"{guessing[kind]:>11.1f}" if kind in guessing else ""
            lines.append(f"{kind:<12}{exact:>12.1f}{f1:>8.1f}{guess}")
        count, total = (
            facts_of(record).get("questions", {}).get(k) for k in ("choosing", "validation")
        )
        if count and total and count < total:
            lines.append(
                f"{total - count:,} questions; the {count:,} that chose these weights score exact match "
                f"{best['choosing/exact_match']:.1f}, F1 {best['choosing/f1']:.1f}"
            )
        if sentence := generalisation(record):
            lines.append(sentence)
        if guessing and _is_on_the_plateau(best, guessing):
            lines.append(
                f"`lookup` is learned, and `match` within {CLOSE_TO_GUESSING:.0f} points of guessing among "
                "the candidates: as if the model knew what kind of answer is wanted, and hardly looked at "
                "whom the question is about."
            )
        return lines

    def next_commands(self, directory: Path, record: Mapping[str, Any]) -> list[tuple[str, str]]:
        commands = [
            ("See its mistakes", command_line("qa-research", "evaluate", directory, "--wrong", 5)),
            ("Ask it", command_line("qa-research", "ask", directory) + ASKING),
        ]
        if "capture" in record:
            commands.append(("Watch it learn", command_line("qa-research", "watch", directory)))
        commands.append(("Report it", command_line("qa-research", "report", directory)))
        return commands

    def write_model(self, directory: Path) -> None:
        write_network(directory, self.network, self.module.tokenizer, self.module.adapters)

    @classmethod
    def reopen(cls, run: StoredRun, weights: Mapping[str, Tensor]) -> TrainedAnswerer:
        return reopen(run, weights)

    def size_of(self, batch: Mapping[str, Tensor]) -> int:
        return len(batch["window"])


def _exact_match_by_kind(measured: Mapping[str, float]) -> dict[str, float]:
    prefix = "val/exact_match_"
    return {k.removeprefix(prefix): v for k, v in measured.items() if k.startswith(prefix)}


def _is_on_the_plateau(best: Mapping[str, float], guessing: Mapping[str, float]) -> bool:
    """Whether `lookup` is learned while `match` is still about as good as guessing."""
    lookup, match = best.get("val/exact_match_lookup"), best.get("val/exact_match_match")
    if lookup is None or match is None:
        return False
    return lookup >= LOOKUP_LEARNED and abs(match - guessing.get("match", 0.0)) <= CLOSE_TO_GUESSING
