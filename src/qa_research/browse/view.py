"""All that is shown of one question: its answers, its length in tokens, its windows, what a run answers.

A Browser makes such views of a catalogue. Printing them is show.py.
"""

import logging
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qa_research.browse.catalogue import Catalogue, Hit, hit_in
from qa_research.console import tracked
from qa_research.files import UTF_8
from qa_research.runs.named import NamedModel
from qa_research.tasks.answering.question import NOT_SAID, Question, find_bad_rows
from qa_research.tasks.answering.source import (
    BUILTIN_ANSWER_TOKENS,
    SPLITS,
    USUAL_ANSWER_TOKENS,
    NamedSource,
    find_source,
)
from qa_research.threads import use_threads

if TYPE_CHECKING:
    from qa_research.tasks.answering.labels import Exactness
    from qa_research.tasks.answering.trained import TrainedAnswerer

log = logging.getLogger(__name__)
TEXTS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class WindowFit:
    """One window: its tokens, its characters of the context, and whether it holds the first gold answer."""

    tokens: int
    char_start: int
    char_end: int
    holds_answer: bool


@dataclass(frozen=True, slots=True)
class Fit:
    """A question's length in tokens, and its windows of up to `max_tokens`.

    `question_tokens`, `context_tokens` and `answer_tokens` (of the first gold answer; None: unanswerable)
    are without special tokens; `total_tokens` is what a single window for all would take. There are no
    windows if the question has more tokens than the `room` that a window has for it.
    """

    question_tokens: int
    context_tokens: int
    answer_tokens: int | None
    total_tokens: int
    max_tokens: int
    stride_tokens: int
    room: int
    windows: tuple[WindowFit, ...]


def fit(row: Question, tokenizer: Any, max_tokens: int, stride_tokens: int) -> Fit:
    """How a question fits into windows of this size; `tokenizer` is one that `make_windows` takes."""
    answer = [gold.text for gold in row.answers[:1]]
    lengths = count_tokens([row.question.lstrip(), row.context, *answer], tokenizer)
    special = tokenizer.num_special_tokens_to_add(pair=True)
    # As make_windows demands: each window must move on by at least one token of context. Windows of 128
    # tokens with a stride of 32 and 3 special tokens have room for a question of 92.
    room = max_tokens - special - stride_tokens - 1
    has_room = lengths[0] <= room
    return Fit(
        question_tokens=lengths[0],
        context_tokens=lengths[1],
        answer_tokens=lengths[2] if answer else None,
        total_tokens=lengths[0] + lengths[1] + special,
        max_tokens=max_tokens,
        stride_tokens=stride_tokens,
        room=room,
        windows=_windows(row, tokenizer, max_tokens, stride_tokens) if has_room else (),
    )


def count_tokens(texts: Sequence[str], tokenizer: Any) -> list[int]:
    """The length of each text in tokens, without special ones; shows progress if it takes long."""
    # Imported here, so that a search need not wait for numpy.
    from qa_research.model import tokenizer as tokenizers

    lengths: list[int] = []
    for begin in tracked(range(0, len(texts), TEXTS_AT_ONCE), "Counting tokens"):
        batch = list(texts[begin : begin + TEXTS_AT_ONCE])
        lengths += tokenizers.count_tokens(tokenizer, batch)
    return lengths


def _windows(
    row: Question, tokenizer: Any, max_tokens: int, stride_tokens: int
) -> tuple[WindowFit, ...]:
    # Imported here, so that a search need not wait for numpy and pyarrow.
    from qa_research.tasks.answering.windows import make_windows

    windows = make_windows([row], tokenizer, max_tokens, stride_tokens)
    return tuple(
        WindowFit(
            tokens=int(windows.lengths[i]),
            char_start=int(windows.char_start[begin + windows.context_first[i]]),
            char_end=int(windows.char_end[begin + windows.context_last[i]]),
            holds_answer=bool(windows.span_last[i] > 0),
        )
        for i, begin in enumerate(windows.starts[:-1])
    )


@dataclass(frozen=True, slots=True)
class GoldText:
    """The text of a gold answer, how often it was given, and the characters where it is said to start."""

    text: str
    times: int
    starts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RunAnswer:
    """What a run answers; `text` is empty for "no answer in this text".

    `score` is the sum of both logits; `exact_match` and `f1` follow SQuAD's rules, in [0, 1].
    """

    run: str
    checkpoint: str
    text: str
    probability: float
    score: float
    char_start: int
    char_end: int
    exact_match: float
    f1: float


@dataclass(frozen=True, slots=True)
class QuestionView:
    """A question of a source, its place there, and what is known of it.

    `same_id` are the other questions with its id; `fault` says why it could not be trained on. `fit` is
    that of the tokenizer called `tokenizer`; both are None if there is no tokenizer.
    """

    source: str
    index: int
    total: int
    row: Question
    same_id: tuple[int, ...]
    fault: str | None
    tokenizer: str | None
    fit: Fit | None
    answered: RunAnswer | None

    def as_json(self) -> dict[str, Any]:
        """Plain values; where the hub has a column of the same meaning, under its name."""
        row = self.row
        return {
            "source": self.source,
            "index": self.index,
            "total": self.total,
            "id": row.id,
            "title": row.title,
            "kind": row.kind,
            "question": row.question,
            "context": row.context,
            "answers": [asdict(gold) for gold in gold_texts(row)],
            "same_id": list(self.same_id),
            "fault": self.fault,
            "tokenizer": self.tokenizer,
            "fit": asdict(self.fit) if self.fit else None,
            "run": asdict(self.answered) if self.answered else None,
        }


def gold_texts(row: Question) -> list[GoldText]:
    """Each distinct gold text once, in the order in which they first appear."""
    found: list[GoldText] = []
    for text in dict.fromkeys(gold.text for gold in row.answers):
        starts = [gold.start for gold in row.answers if gold.text == text]
        found.append(GoldText(text, len(starts), tuple(sorted(set(starts) - {NOT_SAID}))))
    return found


class Browser:
    """Makes views of a catalogue's questions.

    `tokenizer` is a name for `load_tokenizer`; None: that of the run or model `run`, or else the packaged one
    if it is installed. Tokenizer and network are loaded when first needed; `threads`: those that the network
    computes with, None: one per idle core.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        tokenizer: str | None,
        window: tuple[int, int],
        run: NamedModel | None,
        checkpoint: str,
        seed: int | None,
        threads: int | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.window = window
        self.run = run
        self._named = tokenizer
        self._checkpoint = checkpoint
        self._threads = threads
        self._random = _random(seed)

    def view(self, index: int) -> QuestionView:
        """All that is known of the question at an index.

        Raises:
            ValueError: there is none.
        """
        row = self.catalogue.question(index)
        bad = find_bad_rows([row])
        fitted = None if self.tokenizer is None else fit(row, self.tokenizer, *self.window)
        # Without a window nothing can be answered; `fit` says why there is none.
        can_answer = fitted is None or bool(fitted.windows)
        return QuestionView(
            source=self.catalogue.source.name,
            index=index,
            total=len(self.catalogue),
            row=row,
            same_id=tuple(i for i in self.catalogue.indices_of(row.id) if i != index),
            fault=bad[0].reason if bad else None,
            tokenizer=self.tokenizer_name,
            fit=fitted,
            answered=self._answered(row) if can_answer else None,
        )

    def random_index(self) -> int:
        """An index drawn at random, from the seed if there is one."""
        return self._random.randrange(len(self.catalogue))

    def hits(self, indices: list[int], wanted: str, place: str | None) -> list[Hit]:
        """Where the questions at these indices contain the wanted text."""
        rows = self.catalogue.at(indices)
        return [hit_in(i, row, wanted, place) for i, row in zip(indices, rows, strict=True)]

    @cached_property
    def tokenizer(self) -> Any:
        """A tokenizer that `make_windows` takes, or None."""
        if self.run:
            log.info("Opening %s", self.run.shown)
            if not self.run.is_run:
                return self._opened.tokenizer
        name = str(self.run.directory / "model") if self.run else self._named
        if name is None:
            from qa_research.model.tokenizer import packaged_tokenizer

            return packaged_tokenizer()
        from qa_research.model.tokenizer import load_tokenizer

        return load_tokenizer(name, "--run" if self.run else "--tokenizer")

    @property
    def tokenizer_name(self) -> str | None:
        """What to call the tokenizer; None if there is none."""
        if self.tokenizer is None:
            return None
        from qa_research.model.weights import PACKAGED

        if self.run and not self.run.is_run:
            return f"the tokenizer of {self.run.name}"
        return "the run's tokenizer" if self.run else self._named or PACKAGED

    @property
    def max_answer_tokens(self) -> int:
        """The most tokens of an answer: the run's, or those of a training on this source by default."""
        if self.run and not self.run.is_run:
            return self._opened.answering.max_answer_tokens
        if self.run:
            from qa_research.runs.directory import read_config

            return int(read_config(self.run.directory)["answer"]["max_answer_tokens"])
        is_builtin = self.catalogue.source.data == "builtin"
        return BUILTIN_ANSWER_TOKENS if is_builtin else USUAL_ANSWER_TOKENS

    def exactness(self) -> "Exactness | None":
        """Which first gold answers cannot be given exactly; None without a tokenizer.

        Questions that a training cannot use do not count.
        """
        if self.tokenizer is None:
            return None
        from qa_research.tasks.answering.labels import exactness
        from qa_research.tasks.answering.windows import make_windows, too_long

        rows = self.catalogue.all()
        for find in (find_bad_rows, lambda kept: too_long(kept, self.tokenizer, *self.window)):
            skipped = {row.position for row in find(rows)}
            rows = [row for i, row in enumerate(rows) if i not in skipped]
        windows = make_windows(rows, self.tokenizer, *self.window)
        return exactness(rows, windows, self.tokenizer, self.max_answer_tokens)

    @cached_property
    def _opened(self) -> "TrainedAnswerer":
        assert self.run is not None
        return _opened(self.run, self._checkpoint, self._threads)

    def _answered(self, row: Question) -> RunAnswer | None:
        if self.run is None:
            return None
        from qa_research.tasks.answering.score import score_question

        # The rules follow from the whole source, as in `evaluate`.
        unanswerable = self.catalogue.has_unanswerable
        answer = self._opened.resolved(unanswerable).answer([row])[0]
        score = score_question(row, answer.text, "v2.0" if unanswerable else "v1.1")
        return RunAnswer(
            run=self.run.shown,
            checkpoint=self._opened.label,
            text=answer.text,
            probability=answer.probability,
            score=answer.score,
            char_start=answer.char_start,
            char_end=answer.char_end,
            exact_match=score.exact_match,
            f1=score.f1,
        )


def choose_source(
    data: str | None, split: str | None, run: NamedModel | None, encoding: str = UTF_8
) -> NamedSource:
    """What --data names; without it the questions of a run, or, also with another model, the built-in ones.

    Raises:
        FileNotFoundError: there is nothing of that name.
        ValueError: no such split. Reading the source raises it if a run's data have changed.
    """
    if run is not None and run.is_run and data is None:
        return _source_of_run(run.directory, split)
    return find_source("builtin" if data is None else data, split, encoding)


def choose_window(
    source: NamedSource,
    run: NamedModel | None,
    max_tokens: int | None,
    stride_tokens: int | None,
    checkpoint: str = "best",
    threads: int | None = None,
) -> tuple[int, int]:
    """max_tokens and stride_tokens as given; by default those of the run or model, or of the source.

    A model that was trained elsewhere is opened for that, with `checkpoint` and `threads`.

    Raises:
        ValueError: both a run and a value are given, or windows could not move on.
    """
    given = {"--max-tokens": max_tokens, "--stride-tokens": stride_tokens}
    for option, value in given.items():
        if run is not None and value is not None:
            raise ValueError(f"{option}={value} cannot be combined with --run, which has its own")
    if run is None:
        default_size, default_stride = source.window
    elif run.is_run:
        default_size, default_stride = _window(run.directory)
    else:
        windows = _opened(run, checkpoint, threads).config["data"]
        default_size, default_stride = windows["max_tokens"], windows["stride_tokens"]
    size = default_size if max_tokens is None else max_tokens
    stride = default_stride if stride_tokens is None else stride_tokens
    if stride >= size:
        raise ValueError(
            f"--stride-tokens={stride} must be less than --max-tokens={size}: it is how many tokens two "
            "windows share"
        )
    return size, stride


def _source_of_run(directory: Path, split: str | None) -> NamedSource:
    """The questions that a run was validated on (also for split None), or trained on."""
    from qa_research.runs.directory import read_config, read_record

    if split not in (None, *SPLITS):
        raise ValueError(f"--split={split}: a run has the splits {' and '.join(SPLITS)}")
    name = split or "validation"
    record = read_record(directory) or {}
    wanted = record.get("fingerprints", {}).get(name)
    if wanted is None:
        raise ValueError(
            f"run.json of {directory} does not say which questions the run had; choose some with --data"
        )
    config = read_config(directory)

    def read() -> list[Question]:
        from qa_research.tasks.answering.trained import questions_of

        return questions_of(config, record, name)

    # A fingerprint identifies the questions themselves, so runs on equal questions share a catalogue.
    skipped = record.get("too_long") or ""
    identity = f"fingerprint {wanted} {skipped}".rstrip()
    return NamedSource("--run", directory.name, name, identity, wanted, _window(directory), read)


def _window(run: Path) -> tuple[int, int]:
    from qa_research.runs.directory import read_config

    data = read_config(run)["data"]
    return data["max_tokens"], data["stride_tokens"]


@lru_cache(maxsize=1)
def _opened(named: NamedModel, checkpoint: str, threads: int | None) -> "TrainedAnswerer":
    """A run or model, opened once."""
    from qa_research.runs.open import open_model
    from qa_research.tasks.answering.trained import answerer_of

    if not named.is_run:
        named.chosen_weights(checkpoint)
    use_threads(threads, is_quick=True)
    return answerer_of(open_model(named, checkpoint))


def _random(seed: int | None) -> random.Random:
    if seed is None:
        return random.Random()
    from qa_research.streams import stream_seed

    return random.Random(stream_seed(seed, "browse"))
