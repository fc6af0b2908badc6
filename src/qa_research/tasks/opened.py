"""A trained network of any task, read back from its run: what it can be asked, and what it answers.

`Task.reopen` returns one. The verbs that use a finished run know it as it is here, and no task.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from qa_research.tasks.task import Metric, StoredRun
from qa_research.text import did_you_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from qa_research.tasks.parted import PartedData
    from qa_research.tasks.stages import Passing
    from qa_research.tasks.watching import Watched

# An example in the task's own type, such as a question.
Row = TypeVar("Row")
# What some examples are answered with; see `Opened.rows`.
Answering = Callable[[Sequence[Row]], list[dict[str, Any]]]


@dataclass(frozen=True)
class Told:
    """One example as people and the ledger read it.

    `text`: all that is asked, in words. `truths`: every answer that is right; empty: nobody said which is.
    `kind`: the group that scores are also told of; empty: there are no groups.
    """

    id: str
    text: str
    truths: tuple[str, ...]
    kind: str = ""


@dataclass(frozen=True)
class Examples(Generic[Row]):
    """Examples to ask a run, in order.

    `name`: of the data that they are of. `split`: `validation`, `train`, or `file`. `choosing`: the ids of
    those that chose the run's best weights.
    """

    rows: Sequence[Row]
    name: str
    split: str
    choosing: frozenset[str] = frozenset()

    @property
    def all_chose(self) -> bool:
        """Whether no example is left that chose nothing."""
        return len(self.choosing) == len(self.rows)


@dataclass(frozen=True)
class Calibrated:
    """Logits [example label] and the true labels; `temperature`: fitted on others, or None."""

    logits: "NDArray[np.float64]"
    labels: "NDArray[np.int64]"
    temperature: float | None


@dataclass(frozen=True)
class OnTruth:
    """What a network makes of the truth of some examples.

    By example: the `probability` of the truth, which training raises, and NaN where no text that the network
    reads holds it; whether the network answers right (`is_right`), as scores have it; and the number of its
    `group`, which those have in common that share a text.
    """

    probability: "NDArray[np.float64]"
    is_right: "NDArray[np.bool_]"
    group: "NDArray[np.int64]"


# The same of a network, which is that of the run with the weights of any of its steps, in eval mode.
TruthOf = Callable[["nn.Module"], OnTruth]


@dataclass(frozen=True, repr=False)
class Opened(StoredRun, ABC, Generic[Row]):
    """A trained network, in eval mode on one device, in float32.

    `asked_with`: the options of `qa-research ask`, without their dashes, that make one example.
    """

    network: "nn.Module"

    asked_with: ClassVar[Sequence[str]]
    # What those of `Examples.choosing` did.
    chose: ClassVar[str] = "chose the best weights"

    @abstractmethod
    def own(self, split: str) -> Examples[Row]:
        """The run's own examples of `validation` or `train`, read again; see `check_unchanged`.

        Raises:
            FileNotFoundError: their file is gone.
            ValueError: they have changed since the training.
        """

    @abstractmethod
    def of_file(self, path: str, encoding: str) -> Examples[Row]:
        """Those of a file, which need not say what is right.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a row of it cannot be asked; it is called `--data=PATH`, and the row is named.
        """

    @abstractmethod
    def example(self, given: Mapping[str, str]) -> Row:
        """One example made of what was typed; `given` has a text for each of `asked_with`.

        Raises:
            ValueError: one of them cannot be asked; it is called by its option, such as `--first`.
        """

    @abstractmethod
    def told(self, row: Row) -> Told:
        """An example in words."""

    @abstractmethod
    def rows(self, examples: Sequence[Row]) -> list[dict[str, Any]]:
        """What the network makes of examples: one JSON object for each, in order, as `Task.predictions`.

        Each has `id` and `prediction`, may have `probability` and `kind`, and has what the task's metrics are
        computed from (`task.keys_of`); the last is left out where nobody said what is right.
        """

    def answering_of(self, examples: Sequence[Row]) -> Answering[Row]:
        """What answers any of these examples, some at a time, as `rows` answers all of them."""
        return self.rows

    def by_id(self, identity: str, option: str = "--question") -> Row:
        """One of the run's own examples. `option`: where the id was given, as messages name it.

        Raises:
            ValueError: none has this id, or they have changed since the training.
        """
        return OwnExamples(self).by_id(identity, option)

    def drawn(
        self, most: int, rng: "np.random.Generator", kinds: Sequence[str] = ()
    ) -> tuple[list[Row], str]:
        """Validation examples that chose nothing, at most so many, in their own order.

        If all chose, any of them, and a sentence that says so; else it is empty. `kinds`: only such examples.

        Raises:
            ValueError: there are none of a kind, or they have changed since the training.
        """
        return OwnExamples(self).drawn(most, rng, kinds)

    def watched(self, examples: Sequence[Row]) -> "Watched":
        """Examples as one batch, to be looked at and explained, as `Task.watching` has them.

        Raises:
            ValueError: this task cannot be looked into.
        """
        raise ValueError(
            f"{self.name} cannot be looked into: its task does not say how {self.examples} are read "
            "(Opened.watched)"
        )

    def counterpart(self, row: Row, seed: int) -> Row | None:
        """The example with as small a change as makes another answer right; None: there is none of this one.

        `seed`: draws one where there are several. `why_no_counterpart` says which examples have one.
        """
        return None

    @property
    def why_no_counterpart(self) -> str:
        """Of which examples there are counterparts, as a clause."""
        return f"its task makes no minimal pairs of {self.examples}"

    def group_of(self, row: Row) -> str:
        """What an example asks for, as one of a few classes such as `room`; empty: nobody knows."""
        return ""

    def truth_of(self, examples: Sequence[Row]) -> TruthOf:
        """What says how probable a network of this run finds the truth of these examples.

        They are prepared once, for the weights of any number of steps.

        Raises:
            ValueError: what this task's network says has no probability, or nobody said what is true.
        """
        raise ValueError(
            f"{self.name} says no probability of what is true of its {self.examples} (its task has no "
            "Opened.truth_of); runs that answer questions, or choose a label for a pair, do"
        )

    def passing(self, row: Row, n_best: int) -> "Passing":
        """One example on its way through the network, and what comes before and after it, in stages.

        `n_best`: so many candidates are shown at most. A task whose network says more than a label or a
        number of each example, or which does more with a text than read it, has its own.

        Raises:
            ValueError: this task cannot be looked into.
        """
        from qa_research.tasks.stages import passing_of

        # Only what reads text has a tokenizer.
        tokenizer = getattr(self, "tokenizer", None)
        return passing_of(self.watched([row]), bool(self.told(row).truths), tokenizer)

    @property
    def right(self) -> str | None:
        """The key of `rows` that is 1 where an answer is right and 0 where it is wrong; None: nothing is."""
        return None

    def calibrated(self, rows: Sequence[Mapping[str, Any]]) -> Calibrated | None:
        """Of some of its labelled `rows`, what says how sure it may be; None: it chooses no label."""
        return None

    @property
    def why_none_is_right(self) -> str:
        """If `right` is None: why, as a clause, such as `a predicted number is near or far`."""
        return "its task says of no answer that it is right"

    def answer_text(self, row: Mapping[str, Any]) -> str:
        """What was answered, in words, as the ledger has it, too."""
        prediction = row["prediction"]
        return f"{prediction:.4g}" if isinstance(prediction, float) else str(prediction)

    def answer_lines(self, row: Mapping[str, Any], n_best: int) -> list[str]:
        """One of `rows` for a person who asked that example; `n_best`: so many candidates at most."""
        probability = row.get("probability")
        sure = "" if probability is None else f"   (probability {probability:.3f})"
        return [f"{self.answer_text(row)}{sure}"]

    @property
    def metrics(self) -> list[Metric]:
        """What its task measures, the most telling first."""
        found: list[Metric] = self.config["task"]["metrics"]
        return found

    @property
    def examples(self) -> str:
        """What its examples are called, such as `questions`."""
        return str(self.config["task"]["examples"])

    def fingerprint(self, examples: Sequence[Row]) -> str:
        """A sha256 of examples: the same for equal ones."""
        words = [asdict(self.told(row)) for row in examples]
        return hashlib.sha256(json.dumps(words, ensure_ascii=False).encode()).hexdigest()

    def read_again(self, data: "PartedData", split: str) -> Examples[Row]:
        """The run's own examples, as `own` has them, of its data, which is not loaded yet."""
        data.load()
        self.check_unchanged(split, data.fingerprints()[split])
        return data.examples_of(split)

    def check_unchanged(self, split: str, fingerprint: str) -> None:
        """Refuse examples of the run that are not those of its training, by what run.json has of them.

        Raises:
            ValueError: they have changed, or run.json does not say which they were.
        """
        recorded = self.record.get("fingerprints", {}).get(split)
        if recorded is None:
            raise ValueError(
                f"run.json does not say which {self.examples} the run has; choose some with --data FILE"
            )
        if recorded != fingerprint:
            raise ValueError(
                f"the {split} {self.examples} have changed since this run; choose others with --data FILE"
            )

    def __repr__(self) -> str:
        name = f"{self.directory.parent.name}/{self.directory.name}, {self.checkpoint.name}"
        step = "" if self.step is None else f" of step {self.step:,}"
        parameters = sum(p.numel() for p in self.network.parameters())
        device = next(self.network.parameters()).device
        return f"{name}{step}: {parameters / 1e6:.1f} million parameters, on {device}"


class OwnExamples(Generic[Row]):
    """A run's own examples, each split read when it is first asked for, and then kept.

    `Opened.own` reads its file, or makes the examples, anew at each call. Whoever asks for several by their
    ids, or draws some and then looks for others, asks one of these.
    """

    def __init__(self, opened: Opened[Row]) -> None:
        self.opened = opened

    @cached_property
    def validation(self) -> Examples[Row]:
        """Those to validate on, as `Opened.own` has them."""
        return self.opened.own("validation")

    @cached_property
    def train(self) -> Examples[Row]:
        """Those to train on, as `Opened.own` has them."""
        return self.opened.own("train")

    def by_id(self, identity: str, option: str = "--question") -> Row:
        """As `Opened.by_id`; training examples are read only if no validation example has the id."""
        for split in ("validation", "train"):
            examples: Examples[Row] = getattr(self, split)
            for row in examples.rows:
                if self.opened.told(row).id == identity:
                    return row
        raise ValueError(
            f"{option} {identity} is the id of none of the run's {self.opened.examples}"
        )

    def drawn(
        self, most: int, rng: "np.random.Generator", kinds: Sequence[str] = ()
    ) -> tuple[list[Row], str]:
        """As `Opened.drawn`."""
        opened, own = self.opened, self.validation
        known = {opened.told(row).kind for row in own.rows}
        for kind in kinds:
            if kind not in known:
                near = did_you_mean(kind, known - {""})
                raise ValueError(f"no validation {opened.examples} are of the kind {kind!r}{near}")
        left = [row for row in own.rows if opened.told(row).id not in own.choosing]
        note = ""
        if not left:
            left = list(own.rows)
            note = (
                f"All validation {opened.examples} {opened.chose}, and so did those that are read."
            )
        if kinds:
            left = [row for row in left if opened.told(row).kind in kinds]
        order = rng.permutation(len(left))
        return [left[i] for i in sorted(order[:most])], note
