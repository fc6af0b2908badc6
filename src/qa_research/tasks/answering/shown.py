"""An answer on the screen: in its context, with the next best. Imports nothing slow."""

from qa_research.console import Screen, styled
from qa_research.tasks.answering.decode import Answer

# Characters of the context shown on either side of an answer.
CHARACTERS_AROUND = 80


def show_answer(answer: Answer, context: str, n_best: int) -> None:
    """The answer in its context, then the `n_best` candidates with their probabilities."""
    console = Screen()
    start, end = answer.char_start, answer.char_end
    if answer.text:
        where = f"(probability {answer.probability:.3f}, characters {start} to {end})"
        console.print(f"{answer.text}   {where}")
        left = ("..." if start > CHARACTERS_AROUND else "") + context[:start][-CHARACTERS_AROUND:]
        after = context[end:]
        right = after[:CHARACTERS_AROUND] + ("..." if len(after) > CHARACTERS_AROUND else "")
        console.print(styled("\n  ", left, (answer.text, "bold reverse"), right, "\n"))
    else:
        console.print(f"no answer in this text   (probability {answer.probability:.3f})")
    for rank, candidate in enumerate(answer.candidates[:n_best], start=1):
        text = candidate.text or "(no answer)"
        console.print(f"{rank:>3}. {candidate.probability:.3f}  {text}")
