"""Questions and answers that are only scored or shown: no windows, no tokens."""

from qa_research.tasks.answering.decode import Answer, Candidate
from qa_research.tasks.answering.question import Gold, Question


def question_with(*golds: str, identity: str = "1", kind: str = "who") -> Question:
    """A question with these gold answers; none makes it unanswerable."""
    return Question(identity, "", "context", "Who?", tuple(Gold(g, 0) for g in golds), kind)


def answer_to(identity: str, text: str, odds: float = -1.0) -> Answer:
    """An answer with one candidate, at the start of the context."""
    candidate = Candidate(text, 0, len(text), 1.0, 0.75)
    return Answer(identity, text, 0.75, 0, len(text), odds, (candidate,))
