"""Whether a training learned more than its own questions, as far as a measurement says so.

After a training some of its questions are asked again, with the best weights. If they are answered far better
than validation questions, much was learned by heart; if they are hardly ever answered, little was learned.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from qa_research.tasks.answering.facts import facts_of
from qa_research.tasks.answering.score import QuestionScore, summarize
from qa_research.text import plural

# In points of exact match: a gap that matters. Both intervals must also say that there is one.
FAR = 20.0
# In percent of exact match, on the questions of the training itself.
HARDLY_LEARNED = 30.0


def on_training(scores: Sequence[QuestionScore]) -> dict[str, float | int]:
    """What run.json says of training questions that were asked again; scores in percent."""
    found = summarize(scores)
    return {
        "questions": found.total,
        "exact_match": found.exact_match.value,
        "exact_match_low": found.exact_match.low,
        "exact_match_high": found.exact_match.high,
        "f1": found.f1.value,
    }


def generalisation(record: Mapping[str, Any]) -> str | None:
    """A sentence on a finished run whose scores on its own questions say something; else None."""
    found = facts_of(record).get("on_training")
    score = record["best"].get("val/exact_match")
    interval = record.get("best_95", {}).get("val/exact_match")
    if not found or score is None or not interval:
        return None
    count, own = int(found["questions"]), found["exact_match"]
    measured = (
        f"Of {plural(count, 'training question')} {own:.0f} % are answered exactly, of the validation "
        f"questions {score:.0f} %"
    )
    if own - score >= FAR and found["exact_match_low"] > interval["high"]:
        return (
            f"{measured}: much is learned by heart, and helps little with other questions (docs/train.md, "
            '"A small file of your own")'
        )
    if own < HARDLY_LEARNED:
        return (
            f"{measured}: little is learned so far, not even of the training's own questions (longer: "
            "trainer.max_epochs; faster: model.lr; from pretrained weights: +experiment=pretrained)"
        )
    return None
