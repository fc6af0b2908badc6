"""Results as an attribution computes them, without a network."""

from dataclasses import replace

from qa_research.explain.words.result import (
    CURVES,
    OUTPUTS,
    Agreement,
    Attribution,
    AttributionOverSteps,
    Band,
    Curve,
    Curves,
    ErasureValues,
    ExplainedWindow,
    Faithfulness,
    GradientValues,
    LimeValues,
    RandomOrders,
    ShownText,
    ShownWord,
    Span,
    StepValues,
)

QUESTION, CONTEXT = "Who leads judo?", "Judo is on Monday. Dr Obi leads it, and rowing too."


def words_of(source, part, span=()):
    """The words and punctuation marks of a text; those in `span` are of the answer."""
    found, reached = [], 0
    spaced = source.replace(",", " ,").replace(".", " .").replace("?", " ?")
    for text in spaced.split():
        start = source.index(text, reached)
        reached = start + len(text)
        found.append(ShownWord(text, part, start, reached, text in span, True))
    return found


def text_of(question=QUESTION, context=CONTEXT, span="Dr Obi"):
    start = context.index(span)
    return ShownText(
        question=question,
        context=context,
        span=Span(span, start, start + len(span), 11, 12),
        window=ExplainedWindow(0, 1, 0, len(context)),
        off="[MASK]",
        words=(*words_of(question, "question"), *words_of(context, "context", span.split())),
    )


def values_of(n, *kept):
    """Growing values of alternating sign; None for the words `kept`."""
    return tuple(None if i in kept else round((-1) ** i * i / n, 3) for i in range(n))


def faithfulness_of(n, names=("gradients", "erasure", "lime")):
    curve = Curve((0.0, 0.4, 0.8), 0.4, 0.95)
    band = Band((0.0, 0.1, 0.8), (0.0, -0.1, 0.8), (0.0, 0.3, 0.8), (0.1, -0.1, 0.3))
    methods = {name: Curves(**dict.fromkeys(CURVES, curve)) for name in names}
    return Faithfulness((0, 1, n), 20, methods, RandomOrders(**dict.fromkeys(CURVES, band)))


def an_attribution(text=None, names=("gradients", "erasure", "lime"), **change):
    """What `attribute` returns, by the methods `names`."""
    text = text or text_of()
    n = len(text.words)
    values = values_of(n)
    rows = values, values[::-1], values
    stability = {"r2": (0.9, 0.8, 0.7), "unseen_r2": 0.7, "overlap": 0.6, "correlation": None}
    methods = {
        "gradients": GradientValues(*rows, steps=20, error=(0.01, 0.02, None)),
        "erasure": ErasureValues(*rows),
        "lime": LimeValues(*rows, low=values, high=values, **stability, samples=500, doubt=None),
    }
    result = Attribution(
        run="study/run",
        checkpoint="best",
        step=90,
        answer="Dr Obi",
        answer_probability=0.75,
        probability=0.75,
        quantity="Explained is the answered span “Dr Obi”.",
        text=text,
        methods={name: methods[name] for name in names},
        agreement=(Agreement(("gradients", "erasure"), None, 1.0),) if len(names) > 1 else (),
        faithfulness=faithfulness_of(n, names),
        warnings=(),
        top=3,
        seed=1,
    )
    return replace(result, **change)


def over_steps(text=None, steps=(10, 20, 30), names=("gradients", "erasure"), **change):
    """What `over_steps` returns for one question."""
    text = text or text_of()
    n = len(text.words)
    rows = tuple(tuple((step / steps[-1]) * (i - n / 2) for i in range(n)) for step in steps)
    result = AttributionOverSteps(
        run="study/run",
        question_id="q5",
        split="train",
        answers=("Dr Obi",),
        quantity="Explained is the true span “Dr Obi”.",
        text=text,
        steps=tuple(steps),
        checkpoints=tuple(str(step) for step in steps),
        probability=tuple(i / len(steps) for i in range(len(steps))),
        methods={name: StepValues(**dict.fromkeys(OUTPUTS, rows)) for name in names},
        error=(None,) * len(steps),
        unseen_r2=(None,) * len(steps),
        warnings=(),
        seed=1,
    )
    return replace(result, **change)
