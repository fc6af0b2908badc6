"""What to know of scores and right answers on questions that chose a run's best weights."""

from qa_research.runs.predictions import who_chose
from qa_research.tasks.answering.choosing import note_on_choosing
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.trained import SPLITS, TrainedAnswerer
from qa_research.tasks.opened import Examples
from qa_research.text import plural


def note_on_luck(opened: TrainedAnswerer, found: Examples[Question], data: str) -> str | None:
    """A sentence without its full stop; None if none of them chose, or those that did are kept apart.

    None also for a model that was trained elsewhere.

    `found`: the questions of `data`, one of the run's splits or a file.
    """
    if not opened.is_run:
        return None
    questions = found.rows
    if data in SPLITS:
        if not found.all_chose:
            return None
        all_of_them = f"all {plural(len(questions), 'question')}"
        return f"{all_of_them} chose the best weights, so their scores are partly luck"
    try:
        chose = who_chose(opened.directory)
    except (FileNotFoundError, ValueError) as error:
        return f"whether some of these questions chose the best weights cannot be said: {error}"
    return note_on_choosing(questions, chose.ids, chose.contexts)
