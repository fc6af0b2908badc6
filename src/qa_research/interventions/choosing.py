"""Which examples an option names: all, so many drawn at random, or those of some ids."""

from collections.abc import Sequence

import numpy as np


def places_of(
    wanted: int | Sequence[str] | None,
    ids: Sequence[str],
    rng: np.random.Generator,
    option: str,
    what: str,
) -> list[int]:
    """The places of the examples that are wanted, in order; None: of all. Of too few, all are drawn.

    Raises:
        ValueError: see `check_known`.
    """
    if wanted is None:
        return list(range(len(ids)))
    if isinstance(wanted, int):
        return sorted(rng.permutation(len(ids))[:wanted].tolist())
    check_known(wanted, ids, option, what)
    asked = set(wanted)
    return [place for place, identity in enumerate(ids) if identity in asked]


def check_known(wanted: Sequence[str], ids: Sequence[str], option: str, what: str) -> None:
    """Refuse ids that are not there. `what` the ids are of, such as `training questions of RUN`.

    Raises:
        ValueError: the first of them.
    """
    known = set(ids)
    if missing := [one for one in wanted if one not in known]:
        raise ValueError(
            f"{option}: {missing[0]} is the id of none of the {len(ids):,} {what}; ids there look like "
            f"{ids[0]}"
        )
