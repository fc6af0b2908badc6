"""A source opened for browsing: its catalogue, and what a tokenizer and a run make of a question."""

import logging
import random
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qa_research.answer.viewed import RunAnswer, Viewed
from qa_research.data.catalogue import Catalogue
from qa_research.data.named_source import SPLITS, NamedSource, find_source
from qa_research.data.question import Question, find_bad_rows
from qa_research.data.searching import Hit, hit_in

if TYPE_CHECKING:
    from qa_research.run.opened import OpenRun

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
            from qa_research.data.fitting import fit

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
            from qa_research.model.packaged_tokenizer import packaged_tokenizer

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
        from qa_research.run.opened import open_run

        assert self.run is not None
        return open_run(self.run, self._checkpoint)

    def _answered(self, row: Question) -> RunAnswer | None:
        if self.run is None:
            return None
        from qa_research.answer.score import score_question

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
    from qa_research.run.directory import read_record

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
        from qa_research.run.questions import questions_of

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
