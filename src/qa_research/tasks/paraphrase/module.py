"""The LightningModule of paraphrase; all of it is in labelled.py and pretrained.py."""

from qa_research.tasks.labelled import TwoLabels


class PairClassifier(TwoLabels):
    """Whether two sentences say the same: label 1 if they do, 0 if not."""
