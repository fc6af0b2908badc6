"""A transformer that sends a signal to its own process at a chosen moment of its training."""

from qa_research.tasks.regression import Transformer
from tests.training.signalling import Following


class SignallingTransformer(Following, Transformer):
    """Sequence regression with a plan."""
