"""Small recordings made from a seed, as a reader gives them: what a tiny BERT's would look like."""

import numpy as np
import xarray as xr

ROWS = ["start", "end"]
GROUPS = ["cls", "sep", "question", "context", "answer", "match_question", "match_context"]
WORDS = (
    "the teacher for group is meets in library on monday at nine o'clock and brings a lamp "
    "##s mr lund , . winter concert of year north hall this"
).split()


def window(n_tokens, seed=0):
    """Token texts and parts of a window, and its true span."""
    rng = np.random.default_rng(seed)
    asked = ["[CLS]", *"who is the teacher for group k ?".split(), "[SEP]"]
    body = n_tokens - len(asked) - 1
    context = [WORDS[i] for i in rng.integers(len(WORDS), size=body)]
    true_first = len(asked) + body // 2
    context[body // 2 : body // 2 + 2] = ["ms", "lund"]
    parts = ["cls"] + ["question"] * 8 + ["sep"] + ["context"] * body + ["sep"]
    return [*asked, *context, "[SEP]"], parts, (true_first, true_first + 1)


def tokens(n_tokens, seed=0):
    return window(n_tokens, seed)[0]


def logits(lengths=(30, 24), steps=range(0, 501, 25), seed=0):
    """The true tokens' logits rise in the middle of the training; others wander near zero."""
    rng = np.random.default_rng(seed)
    steps, n = np.asarray(steps), len(lengths)
    logit = np.full((len(steps), n, 2, max(lengths)), np.nan, dtype=np.float32)
    loss = np.empty((len(steps), n, 2), dtype=np.float32)
    learnt = 1 / (1 + np.exp(-(steps - steps.mean()) / (np.ptp(steps) / 12 + 1)))
    for q, n_tokens in enumerate(lengths):
        taste = rng.normal(0, 1.2, (2, n_tokens))
        values = learnt[:, None, None] * taste + rng.normal(0, 0.15, (len(steps), 2, n_tokens))
        for row, true in enumerate(window(n_tokens, seed)[2]):
            values[:, row, true] += 8 * learnt
        logit[:, q, :, :n_tokens] = values
        for row, true in enumerate(window(n_tokens, seed)[2]):
            loss[:, q, row] = np.log(np.exp(values[:, row]).sum(1)) - values[:, row, true]
    probability = np.exp(-loss.sum(2))
    return xr.Dataset(
        {
            "logit": (("step", "question", "row", "token"), logit),
            "loss": (("step", "question", "row"), loss),
            "probability": (("step", "question"), probability),
            "exact_match": (("step", "question"), (probability > 0.3).astype(np.int32)),
        },
        coords={"step": steps, "row": ROWS} | _questions(lengths, seed),
    )


def head_weights(n_units=128, steps=range(0, 501, 25), seed=0):
    """All units move by about as much, so the percentage is largest where w began near zero."""
    rng = np.random.default_rng(seed)
    steps = np.asarray(steps)
    moved = np.cumsum(rng.normal(0, 2e-3, (len(steps), 2, n_units)), axis=0)
    weight = (rng.normal(0, 0.02, (2, n_units)) + moved - moved[0]).astype(np.float32)
    away = (weight - weight[0]).astype(np.float64)
    percent = 100 * away / np.abs(weight[0])
    change = np.stack([percent, away, away / weight[0].std(axis=1, keepdims=True)], axis=1)
    ranked = np.argsort(-np.abs(change), axis=3, kind="stable")[..., :10]
    inverse = 1 / np.abs(weight[0])
    correlation = np.full((len(steps), 2), np.nan)
    for i in range(1, len(steps)):
        for row in range(2):
            correlation[i, row] = np.corrcoef(np.abs(percent[i, row]), inverse[row])[0, 1]
    return xr.Dataset(
        {
            "weight": (("step", "row", "unit"), weight),
            "change": (("step", "measure", "row", "unit"), change.astype(np.float32)),
            "ranked_unit": (("step", "measure", "row", "rank"), ranked.astype(np.int32)),
            "correlation": (("step", "row"), correlation),
            "rank_correlation": (("step", "row"), correlation / 2),
        },
        coords={
            "step": steps,
            "row": ROWS,
            "measure": ["percent", "absolute", "standardised"],
            "unit": np.arange(n_units),
        },
    )


def activations(lengths=(30, 24), layers=(0, 1), n_units=8, steps=(0, 100, 200), seed=0):
    rng = np.random.default_rng(seed)
    size = (len(steps), len(lengths), len(layers), max(lengths), n_units)
    axes = ("step", "question", "layer", "token", "unit")
    arrays = {}
    for place in ("context", "layer_output"):
        values = rng.normal(0, 1, size).astype(np.float16)
        for q, n_tokens in enumerate(lengths):
            values[:, q, :, n_tokens:] = np.nan
        arrays[place] = (axes, values, {"long_name": f"the {place} of each layer"})
        arrays[f"{place}_norm"] = (axes[:-1], np.linalg.norm(values.astype(float), axis=-1))
    arrays["embeddings"] = (("step", "question", "token", "unit"), values[:, :, 0])
    coords = {"step": list(steps), "layer": list(layers)} | _questions(lengths, seed)
    return xr.Dataset(arrays, coords=coords)


def attention(lengths=(30, 24), layers=(0, 1), n_heads=2, steps=(0, 100, 200), seed=0):
    """Nearly even at first; later the answer looks at one word of the question, the rest at [SEP]."""
    rng = np.random.default_rng(seed)
    most = max(lengths)
    size = (len(steps), len(lengths), len(layers), n_heads, most, most)
    weight = np.full(size, np.nan, dtype=np.float16)
    for q, n_tokens in enumerate(lengths):
        score = rng.normal(0, 1, (len(layers), n_heads, n_tokens, n_tokens))
        _, parts, (first, last) = window(n_tokens, seed)
        aim = np.zeros((n_tokens, n_tokens))
        aim[:, parts.index("sep")] = 3
        aim[first : last + 1, 7] = 6
        for i in range(len(steps)):
            power = np.exp((score + aim) * i / max(len(steps) - 1, 1))
            weight[i, q, :, :, :n_tokens, :n_tokens] = power / power.sum(-1, keepdims=True)
    coords = {"step": list(steps), "layer": list(layers)} | _questions(lengths, seed)
    axes = ("step", "question", "layer", "head", "query", "key")
    return xr.Dataset({"weight": (axes, weight)}, coords=coords)


def heads(n_questions=3, layers=(0, 1), n_heads=2, steps=range(0, 501, 25), seed=0):
    """One head in four comes to attend from the answer to the matching word. The last question has none."""
    rng = np.random.default_rng(seed)
    steps = np.asarray(steps)
    progress = 1 / (1 + np.exp(-(steps - steps.mean()) / (np.ptp(steps) / 12 + 1)))
    grows = rng.uniform(0.2, 0.7, (len(layers), n_heads)) * (
        rng.uniform(size=(len(layers), n_heads)) < 0.25
    )
    size = (len(steps), n_questions, len(layers), n_heads, len(GROUPS) + 1, len(GROUPS))
    weight = rng.uniform(0, 0.08, size)
    answer, match = 5, GROUPS.index("match_context")
    weight[..., answer, match] += progress[:, None, None, None] * grows
    if n_questions > 1:
        weight[:, -1, :, :, :, match - 1 :] = np.nan
    coords = {"step": steps, "layer": list(layers), "source": ["all", *GROUPS], "target": GROUPS}
    axes = ("step", "question", "layer", "head", "source", "target")
    return xr.Dataset({"group_weight": (axes, weight)}, coords=coords)


def _questions(lengths, seed):
    most = max(lengths)
    parts = [window(n, seed)[1] + ["padding"] * (most - n) for n in lengths]
    spans = [window(n, seed)[2] for n in lengths]
    return {
        "question": np.arange(len(lengths)),
        "tokens": ("question", list(lengths)),
        "true_first": ("question", [first for first, _ in spans]),
        "true_last": ("question", [last for _, last in spans]),
        "part": (("question", "token"), parts),
    }
