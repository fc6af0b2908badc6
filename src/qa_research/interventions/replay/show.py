"""What came of training steps again, on the screen."""

from qa_research.console import Screen
from qa_research.interventions.replay.proof import Replayed, StepProof
from qa_research.text import plural

# Of a sha256, enough to tell two apart by eye.
SHOWN_DIGITS = 12


def show_replayed(found: Replayed) -> None:
    """A line for each kept step, one for the metrics, and the verdict."""
    console = Screen()
    console.print(
        f"{found.run}, steps {found.first + 1} to {found.until} trained again in {found.seconds:.0f} s"
    )
    if found.weights:
        header = ("step", "kept as", "sha256", "weights")
        rows = [(str(p.step), p.kept_as, p.sha256[:SHOWN_DIGITS], _words(p)) for p in found.weights]
        console.table(header, rows, right=(0,), whole=(0, 1, 2))
    console.print(_metrics_words(found))
    console.print(_verdict(found))


def exactness(is_exact: bool, compared: int) -> str:
    """In a sentence, whether a training that was done again as it was is its run; `compared`: states."""
    if not compared:
        return "No weights were kept of these steps, so it is not known whether the training repeated itself"
    same = "the same, bit for bit" if is_exact else "NOT the same"
    return (
        f"The training as it was, done again, is {same} ({plural(compared, 'kept state')} compared)"
    )


def _words(proof: StepProof) -> str:
    if proof.difference is None:
        return "the same, bit for bit"
    one = proof.difference
    return (
        f"{one.numbers:,} of {one.of:,} numbers differ in {one.name}, by {one.largest:.2g} at most"
    )


def _metrics_words(found: Replayed) -> str:
    one = found.metrics
    if one.first_difference is None:
        return f"{one.values:,} values of metrics.csv are the same"
    step, column = one.first_difference
    return f"metrics.csv differs first at step {step}, in {column} ({one.values:,} values compared)"


def _verdict(found: Replayed) -> str:
    if found.is_exact:
        return "Exact: this training repeats itself"
    if not found.weights and not found.metrics.values:
        return "Nothing was kept of these steps to compare with"
    differing = [p.step for p in found.weights if p.difference is not None]
    if found.metrics.first_difference:
        differing.append(found.metrics.first_difference[0])
    return f"Not exact: the first difference is at step {min(differing)}"
