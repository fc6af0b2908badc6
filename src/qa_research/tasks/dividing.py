"""How a task's examples are divided: in whole groups, drawn by what they are, not by their place."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeVar

from qa_research.streams import stream, stream_seed
from qa_research.text import plural

Row = TypeVar("Row")


def drawn_groups(sizes: Mapping[str, int], share: float, seed: int, name: str) -> set[str]:
    """Groups with about `share` of all examples: at least one of them, and never all.

    `sizes`: how many examples each group has; `name`: of the division, so that two of them are independent.
    Which groups are drawn depends on their names and `seed` only, so other examples change little.
    """
    wanted = share * sum(sizes.values())
    first, *others = sorted(sizes, key=lambda group: stream_seed(seed, f"{name}/{group}"))
    chosen, count = {first}, sizes[first]
    # Not the last one: something must be left on the other side.
    for group in others[:-1]:
        if abs(count + sizes[group] - wanted) < abs(count - wanted):
            chosen.add(group)
            count += sizes[group]
    return chosen


def chosen(rows: Sequence[Row], count: int | None, key: str, seed: int) -> list[Row]:
    """`count` of the rows (None: all), drawn by `seed`; `key`: of the config, which says how many.

    Raises:
        ValueError: there are fewer.
    """
    if count is None:
        return list(rows)
    if count > len(rows):
        raise ValueError(f"{key}={count}, but there are only {len(rows)}; null means all")
    return [rows[i] for i in stream(seed, "choice").permutation(len(rows))[:count]]


def drawn(rows: Sequence[Row], most: int, seed: int) -> list[Row]:
    """At most so many of the rows, drawn by `seed` and in their order."""
    if len(rows) <= most:
        return list(rows)
    return [rows[i] for i in sorted(stream(seed, "sample").permutation(len(rows))[:most])]


def check_one_is_given(validation_path: str | None, validation_share: float | None) -> None:
    """Refuse data of files with neither a file to validate on nor a share of the other, or with both.

    Raises:
        ValueError: with what was given.
    """
    if (validation_path is None) == (validation_share is None):
        raise ValueError(
            f"data.validation_path={validation_path or 'null'} and data.validation_share="
            f"{'null' if validation_share is None else validation_share}: give one of them"
        )


def linked(texts: Sequence[Sequence[str]]) -> list[int]:
    """A number for each example; those that share a text, or are linked by such examples, have the same one.

    Case and blanks do not matter. Example: (a, b), (b, c), (d, e) have the numbers 0, 0, 2.
    """
    group = list(range(len(texts)))

    def root(place: int) -> int:
        while group[place] != place:
            group[place] = group[group[place]]
            place = group[place]
        return place

    first_with: dict[str, int] = {}
    for place, own_texts in enumerate(texts):
        for text in own_texts:
            other = root(first_with.setdefault(" ".join(text.lower().split()), place))
            own = root(place)
            group[max(own, other)] = min(own, other)
    return [root(place) for place in range(len(texts))]


def parts_of(names: Sequence[str], shares: Mapping[str, float], rest: str, seed: int) -> list[str]:
    """Which part each example is in: about a share of all in each of `shares`, and the others in `rest`.

    `names`: of the group of each example; a group is in one part.

    Raises:
        ValueError: there are fewer groups than parts.
    """
    left = Counter(names)
    if len(left) <= len(shares):
        raise ValueError(
            f"examples that share a text make {plural(len(left), 'group')}, and {len(shares) + 1} are "
            f"needed: for {', '.join([*shares, rest])}"
        )
    found: dict[str, str] = {}
    open_share = 1.0
    for number, (part, share) in enumerate(shares.items()):
        drawn = sorted(drawn_groups(left, share / open_share, seed, part))
        # Something must be left for each of the parts to come.
        for name in drawn[: len(left) - (len(shares) - number)]:
            found[name] = part
            del left[name]
        open_share -= share
    return [found.get(name, rest) for name in names]
