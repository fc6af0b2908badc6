"""A classifier of pairs that sends a signal to its own process at a chosen moment of its training."""

from qa_research.tasks.paraphrase.module import PairClassifier
from tests.training.signalling import Following


class SignallingPairs(Following, PairClassifier):
    """Pairs with a plan."""
