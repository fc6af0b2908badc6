"""Documents as an attribution.json holds them, without a network."""

QUESTION, CONTEXT = "Who leads judo?", "Judo is on Monday. Dr Obi leads it, and rowing too."


def words_of(question=QUESTION, context=CONTEXT, span=("Dr", "Obi")):
    found = []
    for part, source in (("question", question), ("context", context)):
        reached = 0
        for text in source.replace(",", " ,").replace(".", " .").replace("?", " ?").split():
            start = source.index(text, reached)
            reached = start + len(text)
            found.append(
                {
                    "text": text,
                    "part": part,
                    "char_start": start,
                    "char_end": reached,
                    "in_span": part == "context" and text in span,
                    "switched": True,
                }
            )
    return found


def _text(question, context):
    start = context.index("Dr Obi")
    return {
        "run": "study/run",
        "question": question,
        "context": context,
        "span": {
            "text": "Dr Obi",
            "char_start": start,
            "char_end": start + 6,
            "first_token": 11,
            "last_token": 12,
        },
        "quantity": "Explained is the answered span “Dr Obi”.",
        "window": {"number": 0, "of": 1, "char_start": 0, "char_end": len(context)},
        "off": "[MASK]",
        "words": words_of(question, context),
        "warnings": [],
        "seed": 1,
    }


def describe_attribution(question=QUESTION, context=CONTEXT, **change):
    """What `Attribution.as_json` gives."""
    document = _text(question, context)
    n = len(document["words"])
    values = [round((-1) ** i * i / n, 3) for i in range(n)]
    method = {"start": values, "end": values[::-1], "span": values}
    curve = {"curve": [0.0, 0.4, 0.8], "area": 0.4, "beats": 0.95}
    band = {"mean": [0, 0.1, 0.8], "low": [0, -0.1, 0.8], "high": [0, 0.3, 0.8]}
    kinds = ("comprehensiveness", "sufficiency")
    return (
        document
        | {
            "checkpoint": "best",
            "step": 90,
            "answer": "Dr Obi",
            "answer_probability": 0.75,
            "probability": 0.75,
            "methods": {
                "gradients": method | {"steps": 20, "error": [0.01, 0.02, None]},
                "erasure": method,
                "lime": method
                | {"low": values, "high": values, "unseen_r2": 0.7, "overlap": 0.6, "doubt": None},
            },
            "agreement": [
                {"methods": ["gradients", "erasure"], "rank_correlation": None, "top_overlap": 1.0}
            ],
            "faithfulness": {
                "counts": [0, 1, n],
                "orders": 20,
                "methods": {
                    name: dict.fromkeys(kinds, curve) for name in ("gradients", "erasure", "lime")
                },
                "random": dict.fromkeys(kinds, band | {"area": [0.1, -0.1, 0.3]}),
            },
            "top": 3,
        }
        | change
    )


def describe_steps(question=QUESTION, context=CONTEXT, steps=(10, 20, 30), **change):
    """What `OverSteps.as_json` gives."""
    document = _text(question, context)
    n = len(document["words"])
    rows = [[(step / steps[-1]) * (i - n / 2) for i in range(n)] for step in steps]
    return (
        document
        | {
            "question_id": "q5",
            "split": "train",
            "answers": ["Dr Obi"],
            "steps": list(steps),
            "checkpoints": [str(step) for step in steps],
            "probability": [i / len(steps) for i in range(len(steps))],
            "methods": {
                name: dict.fromkeys(("start", "end", "span"), rows)
                for name in ("gradients", "erasure")
            },
        }
        | change
    )
