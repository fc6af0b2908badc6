"""A trained network that answers questions, read back from its run without Lightning.

from qa_research.runs.open import open_run

run = open_run("runs/nopretrain/bert_mini-random-builtin-s1-1a2b3c4d")
answer = run.ask("Who teaches chess?", "Chess is taught by Ms Lund. Judo is on Monday.")
print(answer.text, answer.probability)
"""

import logging
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

from annotated_types import Ge
from torch import Tensor
from transformers import PreTrainedModel

from qa_research.config import build, check_value
from qa_research.files import UTF_8, written_folder
from qa_research.model.bert import QUESTIONS, longest_window
from qa_research.model.kept import read_adapters, read_network
from qa_research.model.weights import write_sums
from qa_research.tasks.answering.asking import Asking, write_asking
from qa_research.tasks.answering.choosing import those_left
from qa_research.tasks.answering.corpus import asked_for
from qa_research.tasks.answering.counterparts import counterpart
from qa_research.tasks.answering.decode import (
    Answer,
    AnswerSettings,
    join_windows,
    spans_of_batch,
)
from qa_research.tasks.answering.facts import facts_of
from qa_research.tasks.answering.logits import logits_of
from qa_research.tasks.answering.moving import with_moved_answers
from qa_research.tasks.answering.question import (
    DROPPING,
    MOVING,
    BadRow,
    OnBadRows,
    Question,
    asked_question,
    count_misplaced,
    describe_bad_rows,
    find_bad_rows,
    readable,
)
from qa_research.tasks.answering.score import Rules, paragraphs_of, rules_for, score_question
from qa_research.tasks.answering.source import find_source, taken_apart
from qa_research.tasks.answering.squad import read_questions
from qa_research.tasks.answering.stages import passing_of
from qa_research.tasks.answering.truth import truth_of_questions
from qa_research.tasks.answering.watched import watched_windows
from qa_research.tasks.answering.windows import fingerprint, make_windows, too_long
from qa_research.tasks.opened import Answering, Examples, Opened, Told, TruthOf
from qa_research.tasks.stages import Passing
from qa_research.tasks.task import StoredRun
from qa_research.tasks.watching import Watched
from qa_research.text import plural

log = logging.getLogger(__name__)
SPLITS = ("validation", "train")


@dataclass(frozen=True, repr=False)
class TrainedAnswerer(Opened[Question]):
    """A network with its tokenizer and settings, in eval mode on one device, in float32.

    `answering.abstain` is None for a model of which nobody knows whether it learned from questions without an
    answer; such a one abstains only after `suited_to`.
    """

    network: PreTrainedModel
    tokenizer: Any
    answering: AnswerSettings

    asked_with: ClassVar[Sequence[str]] = ("question", "context")

    def own(self, split: str) -> Examples[Question]:
        return run_questions(self.config, self.record, split)

    def of_file(self, path: str, encoding: str) -> Examples[Question]:
        reading = FileReading(encoding, needs_labels=False, tokenizer=self.tokenizer)
        return run_questions(self.config, self.record, path, reading)

    def example(self, given: Mapping[str, str]) -> Question:
        return asked_question(given["question"], given["context"])

    def told(self, row: Question) -> Told:
        return Told(row.id, row.question, tuple(gold.text for gold in row.answers), row.kind)

    def rows(self, examples: Sequence[Question]) -> list[dict[str, Any]]:
        return self.answering_of(examples)(examples)

    def answering_of(self, examples: Sequence[Question]) -> Answering[Question]:
        # By the rules, and with or without abstaining, that all of them together call for.
        suited, rules = self.suited_to(examples), rules_for(examples)
        return lambda some: rows_of(some, suited.answer(some), rules)

    @property
    def examples(self) -> str:
        # A model that was trained elsewhere has no config that says so.
        return "questions"

    def fingerprint(self, examples: Sequence[Question]) -> str:
        return fingerprint(examples)

    def by_id(self, identity: str, option: str = "--question") -> Question:
        return question_by_id(self.config, self.record, identity, option)

    def truth_of(self, examples: Sequence[Question]) -> TruthOf:
        data, suited = self.config["data"], self.suited_to(examples)
        window = (data["max_tokens"], data["stride_tokens"])
        return truth_of_questions(examples, suited.tokenizer, window, suited.answering)

    def passing(self, row: Question, n_best: int) -> Passing:
        data, suited = self.config["data"], self.suited_to([row])
        window = (data["max_tokens"], data["stride_tokens"])
        (answer,) = suited.answer([row])
        return passing_of(row, answer, suited.tokenizer, window, suited.answering, n_best)

    def watched(self, examples: Sequence[Question]) -> Watched:
        data = self.config["data"]
        window = (data["max_tokens"], data["stride_tokens"])
        asked = [("asked", row) for row in examples]
        return watched_windows(asked, self.tokenizer, *window, self.answering)

    def counterpart(self, row: Question, seed: int) -> Question | None:
        return counterpart(row, seed)

    @property
    def why_no_counterpart(self) -> str:
        return "minimal pairs are made of the `match` questions of the built-in notices alone"

    def group_of(self, row: Question) -> str:
        return asked_for(row.question)

    @property
    def right(self) -> str:
        return "exact_match"

    def ask(self, question: str, context: str) -> Answer:
        """The answer to one question about one text, with its n best candidates.

        Raises:
            ValueError: the question or the context is empty, or the question is longer than a window.
        """
        return self.answer([asked_question(question, context)])[0]

    def question(self, identity: str) -> tuple[str, str]:
        """A question of the run's own, by its id, and the text that it is about."""
        found = question_by_id(self.config, self.record, identity)
        return found.question, found.context

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """One answer per question, in order. Shows progress if there are many."""
        data = self.config["data"]
        window = (data["max_tokens"], data["stride_tokens"])
        return answers_of(self.network, self.tokenizer, self.answering, window, questions)

    def suited_to(self, questions: Sequence[Question]) -> "TrainedAnswerer":
        """The same; if it was open whether it may abstain, it may if one of these questions has no answer."""
        return self.resolved(any(row.is_labelled and not row.answers for row in questions))

    def resolved(self, has_unanswerable: bool) -> "TrainedAnswerer":
        """The same, but if it was open whether it may abstain, it may if `has_unanswerable`."""
        return replace(self, answering=self.answering.resolved(has_unanswerable))

    def export(self, directory: Path) -> None:
        """Write a Hugging Face directory, whole or not at all; its model computes the same logits.

        What LoRA has learned is merged into the weights.

        Raises:
            FileExistsError: the directory exists and is not empty.
            ValueError: modules were added to the network that cannot be merged into its weights.
        """
        adapters = read_adapters(self.directory / "model")
        network = adapters.merged(self.network) if adapters else self.network
        tokenizer = deepcopy(self.tokenizer)
        if longest := longest_window(self.network.config):
            tokenizer.model_max_length = longest
        with written_folder(directory) as new:
            network.save_pretrained(new)
            tokenizer.save_pretrained(new)
            write_asking(new, self._asking())
            write_sums(new)
            for file in new.iterdir():
                # Safetensors' own mode is 0600: nobody else could read what is meant to be passed on.
                file.chmod(new.stat().st_mode & 0o666)

    def _asking(self) -> Asking:
        """What an export needs to be asked in the same way."""
        data, settings = self.config["data"], self.answering
        return Asking(
            max_tokens=data["max_tokens"],
            stride_tokens=data["stride_tokens"],
            max_answer_tokens=settings.max_answer_tokens,
            n_best=settings.n_best,
            abstain=settings.abstain,
            null_threshold=settings.null_threshold,
            step=self.step,
        )


def answerer_of(opened: Opened[Any]) -> TrainedAnswerer:
    """The same, for whoever asks it questions.

    Raises:
        ValueError: its task is another one.
    """
    if not isinstance(opened, TrainedAnswerer):
        raise ValueError(
            f"{opened.name} was trained on {opened.examples}, and this is for runs that answer questions; "
            f"qa-research evaluate, ask and report know {opened.examples}, too"
        )
    return opened


def reopen(run: StoredRun, weights: Mapping[str, Tensor]) -> TrainedAnswerer:
    """The network of a run with the weights of a checkpoint, on a GPU if there is one.

    Raises:
        ValueError: the weights do not fit the network.
    """
    for key, least in (("max_tokens", 8), ("stride_tokens", 0)):
        check_value(f"data.{key}", run.config["data"].get(key), Annotated[int, Ge(least)])
    network, tokenizer = read_network(run.directory, weights, str(run.checkpoint), QUESTIONS)
    settings: AnswerSettings = build("answer", run.config["answer"])
    return TrainedAnswerer(
        directory=run.directory,
        checkpoint=run.checkpoint,
        step=run.step,
        config=run.config,
        record=run.record,
        name=run.name,
        results=run.results,
        is_run=run.is_run,
        network=network,
        tokenizer=tokenizer,
        answering=settings.resolved(bool(facts_of(run.record).get("unanswerable"))),
    )


def answers_of(
    network: PreTrainedModel,
    tokenizer: Any,
    settings: AnswerSettings,
    window: tuple[int, int],
    questions: Sequence[Question],
) -> list[Answer]:
    """What a network in eval mode answers; `window`: its tokens, and those that two of them share."""
    windows = make_windows(questions, tokenizer, *window)
    spans = []
    for indices, start, end in logits_of(network, windows, tokenizer.pad_token_id):
        spans += spans_of_batch(
            start, end, windows, indices, settings.max_answer_tokens, settings.n_best
        )
    return join_windows(
        questions,
        windows,
        spans,
        settings.max_answer_tokens,
        settings.n_best,
        settings.threshold,
    )


def rows_of(
    questions: Sequence[Question], answers: Sequence[Answer], rules: Rules
) -> list[dict[str, Any]]:
    """Questions and their answers as `Opened.rows` has them, with where each answer is.

    `first_gold`: whether an answer is the first gold one, ignoring case.
    """
    rows = []
    for question, answer, paragraph in zip(
        questions, answers, paragraphs_of(questions), strict=True
    ):
        row: dict[str, Any] = {
            "id": question.id,
            "kind": question.kind,
            "prediction": answer.text,
            "probability": answer.probability,
            "score": answer.score,
            "char_start": answer.char_start,
            "char_end": answer.char_end,
        }
        if question.is_labelled:
            row |= asdict(score_question(question, answer.text, rules, paragraph))
            first = question.answers[0].text if question.answers else ""
            row["first_gold"] = answer.text.casefold() == first.casefold()
        rows.append(row)
    return rows


@dataclass(frozen=True)
class FileReading:
    """How a file of questions is read that a run is asked.

    `on_bad_rows`: what is done about rows that cannot be asked. `needs_labels`: whether a question without
    answers is such a row. `tokenizer`: that of the run; with it, so is a question that is too long for a
    window.
    """

    encoding: str = UTF_8
    on_bad_rows: OnBadRows = "error"
    needs_labels: bool = True
    tokenizer: Any = None


def questions_of(
    config: Mapping[str, Any],
    record: Mapping[str, Any],
    data: str,
    reading: FileReading | None = None,
) -> list[Question]:
    """The questions of `run_questions`, whether they chose the best weights or not."""
    return list(run_questions(config, record, data, reading).rows)


def run_questions(
    config: Mapping[str, Any],
    record: Mapping[str, Any],
    data: str,
    reading: FileReading | None = None,
) -> Examples[Question]:
    """The questions to ask a run: its own split `validation` or `train`, or those of a file.

    An answer that is not at its offset does not matter, neither for asking nor for scoring.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the run's questions have changed since, or the file's are unusable.
    """
    if data in SPLITS:
        recorded = record.get("fingerprints", {}).get(data)
        if recorded is None:
            raise ValueError(
                "run.json does not say which questions the run has; choose some with --data FILE"
            )
        source: Any = build("data", config["data"])
        source.load()
        if source.fingerprints()[data] != recorded:
            raise ValueError(
                f"the {data} questions have changed since this run; choose others with --data FILE"
            )
        # Those that no window of the run has room for were skipped.
        skipped = set(facts_of(record).get("too_long", ()))
        questions = [row for row in getattr(source, data) if row.id not in skipped]
        is_validation = data == "validation"
        choosing = those_left(source.choosing, questions) if is_validation else frozenset()
        return Examples(questions, *name_of(config, data), choosing)
    settings = config["data"]
    window = (settings["max_tokens"], settings["stride_tokens"])
    questions = _questions_of_file(data, reading or FileReading(), window)
    return Examples(questions, *name_of(config, data))


def question_by_id(
    config: Mapping[str, Any],
    record: Mapping[str, Any],
    identity: str,
    option: str = "--question",
) -> Question:
    """The question of a run's own validation or training questions that has this id.

    Raises:
        ValueError: there is none, or the questions have changed since.
    """
    for split in SPLITS:
        for row in run_questions(config, record, split).rows:
            if row.id == identity:
                return row
    # Only --question takes words, too.
    in_words = (
        "; to ask a question in words, give its text with --context or --context-file"
        if option == "--question"
        else ""
    )
    raise ValueError(f"{option} {identity} is the id of none of the run's questions{in_words}")


def _questions_of_file(data: str, reading: FileReading, window: tuple[int, int]) -> list[Question]:
    """The questions of a source; `window`: its most tokens, and how many two windows share."""
    name = f"--data={Path(taken_apart(data)[0])}"
    source, split = taken_apart(data)
    if split is None:
        questions = read_questions(source, "--data", reading.encoding, "--encoding")
    else:
        questions = find_source(source, split, reading.encoding).read()
    if reading.on_bad_rows in MOVING:
        questions, moved = with_moved_answers(questions)
        if moved:
            log.warning("%s: moved %d answers: %s", name, len(moved), describe_bad_rows(moved))
    elif misplaced := count_misplaced(questions):
        log.info(
            "%s: %d of %d questions have an answer that is not at its offset; neither asking nor scoring "
            "needs offsets", name, misplaced, len(questions),
        )  # fmt: skip
    usable = _without(find_bad_rows(questions, for_training=False), questions, name, reading)
    if reading.needs_labels and reading.on_bad_rows in DROPPING:
        usable = _without(_unlabelled(usable), usable, name, reading)
    if reading.tokenizer is not None:
        usable = _without(too_long(usable, reading.tokenizer, *window), usable, name, reading)
    if not usable:
        raise ValueError(f"{name} holds no usable questions")
    unlabelled = _unlabelled(usable)
    if unlabelled and reading.needs_labels:
        raise ValueError(
            f"{name}: {len(unlabelled)} of {len(usable)} questions have no 'answers' (first: "
            f"{unlabelled[0].id}), so it cannot be said whether they are answered correctly; "
            "qa-research predict answers them"
        )
    return usable


def _unlabelled(questions: Sequence[Question]) -> list[BadRow]:
    return [
        BadRow(position, readable(row.id), "it has no 'answers'")
        for position, row in enumerate(questions)
        if not row.is_labelled
    ]


def _without(
    bad: Sequence[BadRow], questions: Sequence[Question], name: str, reading: FileReading
) -> list[Question]:
    """The questions without the bad ones, if these may be left out."""
    shown = describe_bad_rows(bad)
    if bad and reading.on_bad_rows not in DROPPING:
        raise ValueError(
            f"{name} has {plural(len(bad), 'unusable question')}: {shown}; --on-bad-rows drop leaves them out"
        )
    if bad:
        log.warning("%s: skipped %d of %d questions (%s)", name, len(bad), len(questions), shown)
    positions = {row.position for row in bad}
    return [row for i, row in enumerate(questions) if i not in positions]


def name_of(config: Mapping[str, Any], data: str) -> tuple[str, str]:
    """The name of `data` (a file's own, a data set's on the hub, or `builtin`), and the split."""
    if data in SPLITS:
        settings = config["data"]
        # Validation questions may be a share of the training file's.
        file = settings.get(f"{data}_path") or settings.get("train_path")
        name = Path(file).name if file else settings.get("dataset") or settings["name"]
        return str(name), data
    source, split = taken_apart(data)
    return Path(source).name, split or "file"
