"""Questions from the built-in corpus, from files or from a hub, and their batches for Lightning."""

import logging
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import NDArray

from qa_research.files import UTF_8, check_encoding
from qa_research.streams import stream
from qa_research.tasks.answering.batches import WindowDataset
from qa_research.tasks.answering.choosing import choosing_ids, divided, those_left
from qa_research.tasks.answering.corpus import generate, guessing
from qa_research.tasks.answering.hub import DataSet
from qa_research.tasks.answering.moving import explained, with_moved_answers
from qa_research.tasks.answering.question import (
    BAD_ROWS_SHOWN,
    DROPPING,
    MOVING,
    BadRow,
    Gold,
    OnBadRows,
    Question,
    Shared,
    describe_bad_rows,
    find_bad_rows,
    shared_with,
    texts_of,
)
from qa_research.tasks.answering.squad import read_questions
from qa_research.tasks.answering.windows import Windows, cached_windows, fingerprint, too_long
from qa_research.tasks.batched import BatchedData
from qa_research.tasks.curriculum import Measure
from qa_research.tasks.dividing import check_one_is_given, chosen, drawn
from qa_research.tasks.unlabelled import Text

log = logging.getLogger(__name__)
# Of so many unusable rows it is found out whether their answers could be moved, for the advice in a refusal.
BAD_ROWS_TRIED = 200


@dataclass(frozen=True, slots=True)
class Splits:
    """Both splits as read; with a `share`, the latter is to be taken from the former.

    `names`: what the user calls each, such as `data.train_path=FILE`. `chances`: that guessing is right, by
    the question's id (only BuiltinData).
    """

    train: list[Question]
    validation: list[Question]
    names: tuple[str, str]
    chances: dict[str, float]
    share: float | None = None


class QuestionData(BatchedData):
    """Questions of one source, tokenised into windows and batched. A subclass implements `read`.

    Call `load()`, then `prepare(...)` with a tokenizer, then the loaders.

    Raises:
        ValueError: the stride is not less than a window.
    """

    def __init__(
        self,
        name: str,
        train_questions: Annotated[int, Ge(1)] | None,
        validation_questions: Annotated[int, Ge(1)] | None,
        choosing_share: Annotated[float, Gt(0), Le(1)],
        seed: Annotated[int, Ge(0), Le(2**63 - 1)],
        validate_on_train: bool,
        on_bad_rows: OnBadRows,
        max_tokens: Annotated[int, Ge(8)],
        stride_tokens: Annotated[int, Ge(0)],
        batch_size: Annotated[int, Ge(1)],
        eval_batch_size: Annotated[int, Ge(1)],
        num_workers: Annotated[int, Ge(0), Le(256)],
        **order: Any,
    ) -> None:
        super().__init__(**order)
        if stride_tokens >= max_tokens:
            raise ValueError(
                f"data.stride_tokens={stride_tokens} must be less than data.max_tokens={max_tokens}: "
                "it is how many tokens two windows share"
            )
        self.name = name
        self.train_questions = train_questions
        self.validation_questions = validation_questions
        self.choosing_share = choosing_share
        self.seed = seed
        self.validate_on_train = validate_on_train
        self.on_bad_rows = on_bad_rows
        self.max_tokens = max_tokens
        self.stride_tokens = stride_tokens
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.chances: dict[str, float] = {}
        self.bad_rows: list[BadRow] = []
        self.moved_rows: list[BadRow] = []
        self.too_long: list[str] = []
        self.train: list[Question] = []
        self.validation: list[Question] = []
        # The ids of the validation questions that choose the best weights and end the training.
        self.choosing: frozenset[str] = frozenset()

    @abstractmethod
    def read(self) -> Splits:
        """Read all questions of the source."""

    def load(self) -> None:
        """Read, check and choose the questions of both splits.

        Raises:
            ValueError: there are unusable rows that on_bad_rows does not allow, or there are too few rows.
        """
        splits = self.read()
        train = self._usable(splits.train, "train", splits.names[0])
        validation = splits.validation
        if splits.share is not None:
            train, validation = self._divided(train, splits)
        train = chosen(train, self.train_questions, "data.train_questions", self.seed)
        self.train = self.with_other_answers(train)
        if self.validate_on_train:
            self.validation = self.train
        else:
            usable = self._usable(validation, "validation", splits.names[1])
            self.validation = chosen(
                usable, self.validation_questions, "data.validation_questions", self.seed
            )
        self.choosing = choosing_ids(self.validation, self.choosing_share, self.seed)
        self.chances = splits.chances
        self.read_fingerprints = {
            "train": fingerprint(self.train),
            "validation": fingerprint(self.validation),
        }

    def leave_out_too_long(self, tokenizer: Any) -> None:
        """Skip the questions that no window has room for, as other unusable rows are skipped.

        Raises:
            ValueError: there are some and on_bad_rows is `error`, or nothing is left.
        """
        self.train = self._short_enough(self.train, "train", tokenizer)
        if self.validate_on_train:
            self.validation = self.train
        else:
            self.validation = self._short_enough(self.validation, "validation", tokenizer)
        self.choosing = those_left(self.choosing, self.validation)

    def keep_some(self, count: int) -> None:
        self.train = drawn(self.train, count, self.seed)
        if self.validate_on_train:
            self.validation = self.train
        else:
            self.validation = drawn(self.validation, count, self.seed)
        self.choosing = those_left(self.choosing, self.validation)

    def prepare(self, tokenizer: Any, cache: Path, order_seed: int) -> None:
        """Make windows of both splits, or read them from the cache."""
        settings = (tokenizer, self.max_tokens, self.stride_tokens, cache)
        self.train_windows = cached_windows(self.train, *settings)
        self.validation_windows = cached_windows(self.validation, *settings)
        self.pad_token_id = int(tokenizer.pad_token_id)
        self.order_seed = order_seed

    def ids(self) -> list[str]:
        return [self.train[place].id for place in self.train_windows.question]

    def relabelled(self, row: Question, answer: Any) -> Question:
        """A question with another answer: a text that stands once in its context; an empty one: none."""
        if not isinstance(answer, str):
            raise ValueError(f"an answer is a text, got {answer!r}")
        if not answer:
            return replace(row, answers=())
        if (count := row.context.count(answer)) != 1:
            raise ValueError(
                f"{answer!r:.60} stands {count} times in its context, and must stand once"
            )
        return replace(row, answers=(Gold(answer, row.context.index(answer)),))

    def lengths(self, split: str) -> NDArray[np.int64]:
        return self._windows(split).lengths

    def batches_of(self, split: str) -> WindowDataset:
        return WindowDataset(self._windows(split), self.pad_token_id)

    @property
    def all_choose(self) -> bool:
        """Whether no validation question is left that chose nothing."""
        return len(self.choosing) == len(self.validation)

    @property
    def fresh(self) -> list[Question]:
        """The validation questions whose scores are told: those that choose nothing, or all if all choose."""
        return [row for row in self.validation if self.all_choose or row.id not in self.choosing]

    @property
    def guessing(self) -> dict[str, float]:
        """Exact match of guessing on the `fresh` questions, by kind and in percent; empty if not known."""
        return guessing(self.fresh, self.chances)

    @property
    def origin(self) -> str:
        """A sentence on where the validation questions are from, if that is not plain; empty if it is."""
        return ""

    @property
    def has_unanswerable(self) -> bool:
        """Whether a training question has no answer (SQuAD v2.0)."""
        return any(not row.answers for row in self.train)

    def shared(self) -> Shared | None:
        """What validation shares with training; None if that is wanted."""
        return None if self.validate_on_train else shared_with(self.train, self.validation)

    def sample_of_training(self, count: int) -> list[Question]:
        """So many training questions, or all if there are fewer, drawn by `data.seed`."""
        order = stream(self.seed, "training sample").permutation(len(self.train))[:count]
        return [self.train[i] for i in order]

    def texts_alone(self, split: str) -> list[Text]:
        """The contexts of a split, each once; those of questions that choose do so, too."""
        rows: list[Question] = getattr(self, split)
        is_scored = split == "validation"
        chose = {row.context for row in rows if is_scored and row.id in self.choosing}
        return [Text(c, c in chose) for c in dict.fromkeys(row.context for row in rows)]

    def vocabulary_texts(self) -> Iterator[str]:
        """Contexts and questions of the training."""
        return texts_of(self.train)

    def fingerprints(self) -> dict[str, str]:
        """A sha256 of each split's questions, with those that no window has room for.

        So they can be compared before there is a tokenizer.
        """
        return self.read_fingerprints

    def _windows(self, split: str) -> Windows:
        return self.train_windows if split == "train" else self.validation_windows

    def _short_enough(
        self, questions: list[Question], split: str, tokenizer: Any
    ) -> list[Question]:
        bad = too_long(questions, tokenizer, self.max_tokens, self.stride_tokens)
        if not bad:
            return questions
        shown = describe_bad_rows(bad)
        if self.on_bad_rows not in DROPPING:
            raise ValueError(
                f"{len(bad)} of {len(questions)} {split} questions are too long for a window ({shown}); "
                "raise data.max_tokens, lower data.stride_tokens, or skip them with data.on_bad_rows=drop"
            )
        log.warning("Skipped %d of %d %s questions: %s", len(bad), len(questions), split, shown)
        self.too_long += [row.id for row in bad]
        positions = {row.position for row in bad}
        if len(positions) == len(questions):
            raise ValueError(f"there are no usable {split} questions")
        return [row for i, row in enumerate(questions) if i not in positions]

    def _usable(self, questions: Sequence[Question], split: str, name: str) -> list[Question]:
        """The questions that can be trained on; those that cannot are treated as on_bad_rows says."""
        all_of = f"{len(questions)} {split} questions"
        if self.on_bad_rows in MOVING:
            questions, moved = with_moved_answers(questions)
            if moved:
                shown = describe_bad_rows(moved)
                log.warning("%s: moved answers of %d of %s: %s", name, len(moved), all_of, shown)
                self.moved_rows += moved
        bad = find_bad_rows(questions)
        if bad and self.on_bad_rows not in DROPPING:
            raise ValueError(
                f"{name}: {len(bad)} of {all_of} are unusable {self._advice(questions, bad)}"
            )
        if bad:
            first, _ = explained(questions, bad[:BAD_ROWS_SHOWN])
            shown = describe_bad_rows([*first, *bad[BAD_ROWS_SHOWN:]])
            log.warning("Skipped %d of %s: %s", len(bad), all_of, shown)
            self.bad_rows += bad
        positions = {row.position for row in bad}
        usable = [row for i, row in enumerate(questions) if i not in positions]
        if not usable:
            raise ValueError(f"{name}: there are no usable {split} questions")
        return usable

    def _divided(
        self, questions: Sequence[Question], splits: Splits
    ) -> tuple[list[Question], list[Question]]:
        share = splits.share or 0.0
        if self.validate_on_train:
            raise ValueError(
                f"data.validation_share={share:g} keeps questions from training, and "
                "data.validate_on_train=true asks those of the training; use one of them"
            )
        try:
            return divided(questions, share, self.seed)
        except ValueError as error:
            raise ValueError(
                f"{splits.names[0]}: data.validation_share={share:g}: {error}"
            ) from error

    def _advice(self, questions: Sequence[Question], bad: Sequence[BadRow]) -> str:
        """The first bad rows in brackets, and what can be done about all of them."""
        tried, movable = explained(questions, bad[:BAD_ROWS_TRIED])
        shown = f"({describe_bad_rows([*tried, *bad[BAD_ROWS_TRIED:]])})"
        if self.on_bad_rows == "move":
            return f"{shown}; data.on_bad_rows=move_or_drop skips them, and moves the others"
        if movable == len(bad):
            return (
                f"{shown}; data.on_bad_rows=move puts all answers where they stand, drop skips them"
            )
        if movable:
            return (
                f"{shown}; data.on_bad_rows=move_or_drop puts answers where they clearly stand and skips the "
                "other questions, drop skips all of these"
            )
        return f"{shown}; data.on_bad_rows=drop skips them"


_OFFLINE = (
    "These work offline: data=builtin, data=squad_file with data.train_path= and "
    "data.validation_path=, or data.dataset=DIRECTORY in the hub's layout"
)


class BuiltinData(QuestionData):
    """The corpus of school notices, generated from `seed`."""

    # How many facts the notice of each question has, by its id.
    facts: dict[str, int]

    def difficulties(self, measure: Measure) -> NDArray[np.float64]:
        if measure != "facts":
            return super().difficulties(measure)
        facts = np.array([self.facts[row.id] for row in self.train], dtype=np.float64)
        return facts[self.train_windows.question]

    def read(self) -> Splits:
        corpus = generate(self.seed)
        self.facts = corpus.facts
        names = ("data=builtin", "data=builtin")
        return Splits(corpus.train, corpus.validation, names, corpus.chances)


class FileData(QuestionData):
    """Two files of text in `encoding`, each in any format that `squad.read_questions` reads; or one.

    `validation_share`: of the questions of `train_path`, in whole contexts, where there is no other file.

    Raises:
        ValueError: there is no such encoding; not one of `validation_path` and `validation_share` is given.
    """

    def __init__(
        self,
        train_path: str,
        validation_path: str | None,
        validation_share: Annotated[float, Gt(0), Lt(1)] | None,
        encoding: str,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        check_encoding(encoding, "data.encoding")
        check_one_is_given(validation_path, validation_share)
        self.encoding = encoding
        self.train_path = train_path
        self.validation_path = validation_path
        self.validation_share = validation_share

    def read(self) -> Splits:
        names = [f"data.train_path={self.train_path}"]
        train = self._questions_of("data.train_path", self.train_path)
        if self.validation_path is None:
            return Splits(train, [], (names[0], names[0]), {}, self.validation_share)
        names.append(f"data.validation_path={self.validation_path}")
        validation = self._questions_of("data.validation_path", self.validation_path)
        return Splits(train, validation, (names[0], names[1]), {})

    def _questions_of(self, key: str, path: str) -> list[Question]:
        return read_questions(path, key, self.encoding, "data.encoding")

    @property
    def origin(self) -> str:
        if self.validation_share is None:
            return ""
        return (
            f"Validation questions are of data.train_path, too: data.validation_share="
            f"{self.validation_share:g}, in whole contexts, drawn by data.seed={self.seed}"
        )


class HubData(QuestionData):
    """A data set with SQuAD's columns on the Hugging Face hub, or a directory in the hub's layout."""

    def __init__(self, dataset: str, revision: str | None, **settings: Any) -> None:
        super().__init__(**settings)
        self.dataset = dataset
        self.revision = revision

    def read(self) -> Splits:
        name = f"data.dataset={self.dataset}"
        data = DataSet(self.dataset, self.revision, name, _OFFLINE, UTF_8, None)
        train, validation = (data.questions(split) for split in ("train", "validation"))
        return Splits(train, validation, (name, name), {})
