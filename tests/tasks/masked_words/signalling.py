"""A network that tells hidden words, and sends a signal to its own process at a chosen moment."""

from qa_research.tasks.masked_words.module import MaskedWords
from tests.training.signalling import Following


class SignallingMasked(Following, MaskedWords):
    """Hidden words with a plan."""
