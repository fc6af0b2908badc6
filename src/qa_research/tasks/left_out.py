"""A training without some of its examples: which places of its batches they leave empty, or others take.

Pure; knows no torch. The order of the batches is that of the training with all examples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from qa_research.text import nearest


@dataclass(frozen=True)
class Edits:
    """What is changed of the training examples, as a config says it.

    `without`: ids of those that are left out; `only`: of those that are not; `holes`: see `Holes`; `relabel`:
    another answer by id.
    """

    without: Sequence[str | int] | None = None
    only: Sequence[str | int] | None = None
    holes: "Holes | None" = None
    relabel: Mapping[str, Any] | None = None

    def check(self) -> None:
        """Raise ValueError for edits that contradict each other or change nothing."""
        if self.without is not None and self.only is not None:
            raise ValueError("data.without and data.only exclude each other: leave out one of them")
        if self.holes is not None and self.without is None and self.only is None:
            raise ValueError(
                f"data.holes={self.holes} says what becomes of the places of examples that are left out, and "
                "none is: data.without=[ID,...]"
            )


# What becomes of the places of examples that are left out: they stay empty, and the others of the batch weigh
# what they weighed; or the next examples move up, and at the end of an epoch its first ones come again.
Holes = Literal["empty", "next"]
# At most so many may be left out; training on few examples is asked for as such.
MOST = 0.5


@dataclass(frozen=True)
class LeftOut:
    """The examples that are not trained on. `which` [example]: true for each of them.

    `since`: the epoch and the number of its batches after which they are; (0, 0): from the beginning.
    """

    which: NDArray[np.bool_]
    holes: Holes
    since: tuple[int, int] = (0, 0)

    def applied(self, order: Sequence[NDArray[np.int64]], epoch: int) -> list[NDArray[np.int64]]:
        """The batches of an epoch without them; a batch of none but them is empty, unless others move up.

        Example: batches [6 3] [5 0] [4 2] [1] without 5 and 4. Empty: [6 3] [0] [2] [1]. Next: the places are
        taken by those that remain, in order: [6 3] [0 2] [1 6] [3], as 6 and 3 come again. Since batch 1 of
        this epoch nothing changes in [6 3], and those that come again are still the first of the epoch.
        """
        begun, batches = self.since
        before = batches if epoch == begun else len(order) if epoch < begun else 0
        kept, changed = list(order[:before]), order[before:]
        if self.holes == "empty":
            return kept + [batch[~self.which[batch]] for batch in changed]
        served = np.concatenate([*changed, *kept]) if order else np.zeros(0, dtype=np.int64)
        source = cycle(served[~self.which[served]].tolist())
        return kept + [np.array(list(islice(source, len(batch)))) for batch in changed]


def which_of(ids: Sequence[str], wanted: Sequence[str | int], key: str) -> NDArray[np.bool_]:
    """[example] Whether the id of each example is one of those wanted.

    Raises:
        ValueError: one of them is of no example; `key`: where they were asked for.
    """
    known, asked = set(ids), {*map(str, wanted)}
    if unknown := sorted(asked - known):
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        near = nearest(unknown[0], known, cutoff=0.8)
        hint = f"; did you mean {near}?" if near else f"; one of the {len(known):,} is {min(known)}"
        raise ValueError(f"{key}: {unknown[0]}{more} is not the id of a training example{hint}")
    return np.array([one in asked for one in ids], dtype=np.bool_)


def left_of(ids: Sequence[str], which: NDArray[np.bool_]) -> tuple[int, int]:
    """How many examples are left out, and how many there are; one of several windows counts once."""
    out = {one for one, is_out in zip(ids, which, strict=True) if is_out}
    return len(out), len(set(ids))


def check_some_remain(out: int, total: int, is_only: bool) -> None:
    """Refuse to leave out more than half, unless what is to remain was named; and to leave nothing.

    Raises:
        ValueError: so many.
    """
    if out == total:
        raise ValueError("no training example is left")
    if out > MOST * total and not is_only:
        raise ValueError(
            f"data.without leaves out {out:,} of {total:,} training examples, more than half: that is "
            "another training; data.only=[...] names those that are to remain"
        )
