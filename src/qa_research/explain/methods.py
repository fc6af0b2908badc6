"""The methods that attribute an answer to its words, by name. Imports nothing heavy."""

from collections.abc import Sequence

from qa_research.report.attribution_names import NAMES

METHODS = tuple(NAMES)
# LIME asks a thousand times where the others ask a hundred times.
USUAL_OVER_STEPS = ("gradients", "erasure")


def methods_of(words: Sequence[str], usual: tuple[str, ...]) -> tuple[str, ...]:
    """The methods of `--method`, given once or more often, or with commas; none means the `usual` ones.

    Raises:
        ValueError: a method that there is not.
    """
    named = [name.strip() for word in words for name in word.split(",")]
    if unknown := [name for name in named if name not in METHODS]:
        raise ValueError(
            f"--method {unknown[0] or words[0]} is unknown; these are known: {', '.join(METHODS)}"
        )
    return tuple(name for name in METHODS if name in named) or usual
