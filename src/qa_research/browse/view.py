"""How long texts are in tokens, and how one question fits into windows.

All that is shown of one question, ready to print or to be JSON. Knows no network.

A source opened for browsing: its catalogue, and what a tokenizer and a run make of a question.
"""

import logging
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qa_research.browse.catalogue import Catalogue, Hit, hit_in
from qa_research.browse.source import SPLITS, NamedSource, find_source
from qa_research.console import tracked
from qa_research.tasks.answering.question import Question, find_bad_rows

if TYPE_CHECKING:
    from qa_research.runs.open import OpenRun


TEXTS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class WindowPart:
    """One window: its tokens, the characters of the context in it, whether it holds the answer.

    Held is the first gold answer, and wholly.
    """

    tokens: int
    char_start: int
    char_end: int
    holds_answer: bool


@dataclass(frozen=True, slots=True)
class Fit:
    """A question's length in tokens, and its windows of up to `max_tokens`.

    `question_tokens`, `context_tokens` and `answer_tokens` (the first gold answer's; None: it has
    none) are without special tokens, `total_tokens` is what one window for all would take. There are
    no windows where the question has more tokens than the `room` that is left for it.
    """

    question_tokens: int
    context_tokens: int
    answer_tokens: int | None
    total_tokens: int
    max_tokens: int
    stride_tokens: int
    room: int
    windows: tuple[WindowPart, ...]


def fit(row: Question, tokenizer: Any, max_tokens: int, stride_tokens: int) -> Fit:
    """How a question fits into windows of this size; `tokenizer` is what `make_windows` takes."""
    answer = [gold.text for gold in row.answers[:1]]
    lengths = count_tokens([row.question.lstrip(), row.context, *answer], tokenizer)
    special = tokenizer.num_special_tokens_to_add(pair=True)
    # What make_windows asks for: the context must move on by a token a window.
    room = max_tokens - special - stride_tokens - 1
    parts: tuple[WindowPart, ...] = ()
    if lengths[0] <= room:
        parts = _parts(row, tokenizer, max_tokens, stride_tokens)
    return Fit(
        question_tokens=lengths[0],
        context_tokens=lengths[1],
        answer_tokens=lengths[2] if answer else None,
        total_tokens=lengths[0] + lengths[1] + special,
        max_tokens=max_tokens,
        stride_tokens=stride_tokens,
        room=room,
        windows=parts,
    )


def count_tokens(texts: Sequence[str], tokenizer: Any) -> list[int]:
    """The length of each text in tokens, without special ones; shows progress when it takes long."""
    lengths: list[int] = []
    for begin in tracked(range(0, len(texts), TEXTS_AT_ONCE), "Counting tokens"):
        batch = list(texts[begin : begin + TEXTS_AT_ONCE])
        lengths += [len(ids) for ids in tokenizer(batch, add_special_tokens=False)["input_ids"]]
    return lengths


def _parts(
    row: Question, tokenizer: Any, max_tokens: int, stride_tokens: int
) -> tuple[WindowPart, ...]:
    # Here, because who looks at hits need not wait for numpy and pyarrow.
    from qa_research.tasks.answering.windows import make_windows

    windows = make_windows([row], tokenizer, max_tokens, stride_tokens)
    return tuple(
        WindowPart(
            tokens=int(windows.lengths[i]),
            char_start=int(windows.char_start[begin + windows.context_first[i]]),
            char_end=int(windows.char_end[begin + windows.context_last[i]]),
            holds_answer=bool(windows.span_last[i] > 0),
        )
        for i, begin in enumerate(windows.starts[:-1])
    )


@dataclass(frozen=True, slots=True)
class GoldText:
    """A gold answer's text, how often it was given, and the characters where it was said to start."""

    text: str
    times: int
    starts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RunAnswer:
    """What a run answers: empty for "no answer in this text".

    `score` is the sum of both logits, `exact_match` and `f1` are by SQuAD's rules, in [0, 1].
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
class Viewed:
    """A question of a source, where it stands there, and what is known of it.

    `same_id` are the other questions of its id, `fault` says why it could not be trained on. `fit` is
    under the tokenizer called `tokenizer`; None: there is none at hand.
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
        """Everything, under the names of the hub's columns where there are such."""
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
    """Each distinct gold text once, in the order in which they were first given."""
    found: list[GoldText] = []
    for text in dict.fromkeys(gold.text for gold in row.answers):
        starts = [gold.start for gold in row.answers if gold.text == text]
        found.append(GoldText(text, len(starts), tuple(sorted(set(starts)))))
    return found


log = logging.getLogger(__name__)


class Browser:
    """The questions of a catalogue, one at a time, as they are shown.

    `tokenizer` is a name for `load_tokenizer`; None: the run's, or else the packaged one where it is
    installed. Tokenizer and network are loaded when they are first needed.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        tokenizer: str | None,
        window: tuple[int, int],
        run: Path | None,
        checkpoint: str,
        seed: int | None,
    ) -> None:
        self.catalogue = catalogue
        self.window = window
        self.run = run
        self._named = tokenizer
        self._checkpoint = checkpoint
        self._chance = _chance(seed)

    def view(self, index: int) -> Viewed:
        """All that is known of the question at an index.

        Raises:
            ValueError: there is none.
        """
        row = self.catalogue.question(index)
        twins = [i for i in self.catalogue.indices_of(row.id) if i != index]
        bad = find_bad_rows([row])
        fitted = None
        if self.tokenizer is not None:
            fitted = fit(row, self.tokenizer, *self.window)
        return Viewed(
            source=self.catalogue.source.name,
            index=index,
            total=len(self.catalogue),
            row=row,
            same_id=tuple(twins),
            fault=bad[0].reason if bad else None,
            tokenizer=self.tokenizer_name,
            fit=fitted,
            # Where no window is, `fit` says why, and nothing can be answered.
            answered=self._answered(row) if fitted is None or fitted.windows else None,
        )

    def random_index(self) -> int:
        """An index drawn at random, from the seed where there is one."""
        return self._chance.randrange(len(self.catalogue))

    def hits(self, indices: list[int], wanted: str, place: str | None) -> list[Hit]:
        """Where the wanted text stands in the questions at these indices."""
        rows = self.catalogue.at(indices)
        return [hit_in(i, row, wanted, place) for i, row in zip(indices, rows, strict=True)]

    @cached_property
    def tokenizer(self) -> Any:
        """A tokenizer that `make_windows` takes, or None."""
        if self.run:
            log.info("Opening %s", self.run.name)
        name = str(self.run / "model") if self.run else self._named
        if name is None:
            from qa_research.model.tokenizer import packaged_tokenizer

            return packaged_tokenizer()
        from qa_research.model.tokenizer import load_tokenizer

        return load_tokenizer(name, "--run" if self.run else "--tokenizer")

    @property
    def tokenizer_name(self) -> str | None:
        """What people call the tokenizer, or None where there is none."""
        if self.tokenizer is None:
            return None
        from qa_research.model.weights import PACKAGED

        return "the run's tokenizer" if self.run else self._named or PACKAGED

    @cached_property
    def _opened(self) -> "OpenRun":
        from qa_research.runs.open import open_run

        assert self.run is not None
        return open_run(self.run, self._checkpoint)

    def _answered(self, row: Question) -> RunAnswer | None:
        if self.run is None:
            return None
        from qa_research.tasks.answering.score import score_question

        answer = self._opened.answer([row])[0]
        # The rules of the whole source, as `evaluate` has them.
        unanswerable = self.catalogue.has_unanswerable
        score = score_question(row, answer.text, "v2.0" if unanswerable else "v1.1")
        return RunAnswer(
            run=self.run.name,
            checkpoint=self._opened.checkpoint.stem,
            text=answer.text,
            probability=answer.probability,
            score=answer.score,
            char_start=answer.char_start,
            char_end=answer.char_end,
            exact_match=score.exact_match,
            f1=score.f1,
        )


def choose_source(data: str | None, split: str | None, run: Path | None) -> NamedSource:
    """What --data names; without it the questions of a run, or the built-in ones.

    Raises:
        FileNotFoundError: there is nothing of that name.
        ValueError: no such split; reading raises it where a run's data are no longer what they were.
    """
    if run is not None and data is None:
        return _source_of_run(run, split)
    return find_source("builtin" if data is None else data, split)


def choose_window(
    source: NamedSource, run: Path | None, max_tokens: int | None, stride_tokens: int | None
) -> tuple[int, int]:
    """max_tokens and stride_tokens as given; else the run's, or what is usual for the source.

    Raises:
        ValueError: both a run and a value are given, or windows could not move on.
    """
    given = {"--max-tokens": max_tokens, "--stride-tokens": stride_tokens}
    for option, value in given.items():
        if run is not None and value is not None:
            raise ValueError(f"{option}={value} cannot be had with --run, which has its own")
    usual = source.window if run is None else _window(_config(run))
    size, stride = (
        default if value is None else value
        for default, value in zip(usual, given.values(), strict=True)
    )
    if stride >= size:
        raise ValueError(
            f"--stride-tokens={stride} must be less than --max-tokens={size}: it is what two windows "
            "share"
        )
    return size, stride


def _source_of_run(directory: Path, split: str | None) -> NamedSource:
    """The questions that a run was validated on (split None: those), or trained on."""
    from qa_research.runs.directory import read_record

    if split not in (None, *SPLITS):
        raise ValueError(f"--split={split}: a run has the splits {' and '.join(SPLITS)}")
    name = split or "validation"
    record = read_record(directory) or {}
    wanted = record.get("fingerprints", {}).get(name)
    if wanted is None:
        raise ValueError(
            f"run.json of {directory} does not say which questions it has; --data names some"
        )
    config = _config(directory)

    def read() -> list[Question]:
        from qa_research.runs.open import questions_of

        return questions_of(config, record, name)

    # A fingerprint is of the questions themselves: the catalogue of equal ones serves all runs.
    identity = f"fingerprint {wanted}"
    return NamedSource("--run", directory.name, name, identity, wanted, _window(config), read)


def _config(run: Path) -> dict[str, Any]:
    import yaml

    config: dict[str, Any] = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    return config


def _window(config: dict[str, Any]) -> tuple[int, int]:
    return config["data"]["max_tokens"], config["data"]["stride_tokens"]


def _chance(seed: int | None) -> random.Random:
    if seed is None:
        return random.Random()
    from qa_research.streams import stream_seed

    return random.Random(stream_seed(seed, "browse"))
