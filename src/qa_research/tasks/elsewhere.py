"""Models that were trained elsewhere: which task opens them. Today question answering opens all."""

from pathlib import Path
from typing import Any

from qa_research.model.folder import ChosenWeights
from qa_research.tasks.opened import Opened


def open_elsewhere(weights: ChosenWeights, name: str, identity: str, results: Path) -> Opened[Any]:
    """The model as its task opens one, so that verbs use it as they use a run's.

    `name` and `results`: see `StoredRun`. `identity`: what no other model has.

    Raises:
        FileNotFoundError: there is no model, or no tokenizer.
        ValueError: it cannot be asked, or one of its files is damaged.
    """
    from qa_research.tasks.answering.foreign import open_foreign

    return open_foreign(weights, name, identity, results)
