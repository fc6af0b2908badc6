"""Synthetic recordings from a seed, shaped as a recording's groups are read."""

import re

import numpy as np
import xarray as xr
from scipy.special import log_softmax, logsumexp, softmax

NOTICE = (
    "Visitors sign the book at the gate. This year Mr Birch leads group B. The teacher for group R "
    "is Dr Reeve. Group Y costs 8 crowns; pottery, too. This year Ms Dunn leads group G."
)
ROWS = ["start", "end"]
MOST_ANSWER_TOKENS = 10


def describe(
    question: str = "By whom is group B taught?",
    answer: str | None = "Mr Birch",
    context: str = NOTICE,
    number: int = 0,
) -> dict:
    """A watched question's description; a word of more than six letters is two word pieces."""
    row = {"id": f"q{number}", "split": "validation", "kind": "match", "title": f"Notice {number}"}
    answers = [] if answer is None else [answer]
    row |= {"question": question, "context": context, "answers": answers}
    return row | {"tokens": [token for token, *_ in _window(row)]}


def _pieces(text: str) -> list[tuple[str, int, int]]:
    found = []
    for word in re.finditer(r"\w+|[^\w\s]", text):
        begin, end = word.span()
        cut = begin + 5 if end - begin > 6 else end
        found.append((text[begin:cut].lower(), begin, cut))
        if cut < end:
            found.append(("##" + text[cut:end].lower(), cut, end))
    return found


def _window(row: dict) -> list[tuple[str, str, int, int]]:
    """(token, part, char_start, char_end) of each token."""
    asked = [(piece, "question", 0, 0) for piece, *_ in _pieces(row["question"])]
    context = [(piece, "context", begin, end) for piece, begin, end in _pieces(row["context"])]
    sep = ("[SEP]", "sep", 0, 0)
    return [("[CLS]", "cls", 0, 0), *asked, sep, *context, sep]


def true_span(row: dict) -> tuple[int, int]:
    """First and last token of the answer; 0, 0 where there is none."""
    if not row["answers"]:
        return 0, 0
    begin = row["context"].index(row["answers"][0])
    end = begin + len(row["answers"][0])
    window = _window(row)
    inside = [
        i for i, (_, part, a, b) in enumerate(window) if part == "context" and a < end and b > begin
    ]
    return inside[0], inside[-1]


def coordinates(rows: list[dict], n_tokens: int) -> dict:
    """The coordinates that every group with a question axis has."""
    windows = [_window(row) for row in rows]
    parts = np.full((len(rows), n_tokens), "padding", dtype="<U8")
    chars = np.zeros((2, len(rows), n_tokens), dtype=np.int32)
    for i, window in enumerate(windows):
        parts[i, : len(window)] = [part for _, part, *_ in window]
        chars[:, i, : len(window)] = np.array([window[j][2:] for j in range(len(window))]).T
    spans = np.array([true_span(row) for row in rows])
    return {
        "question": np.arange(len(rows)),
        "tokens": ("question", np.array([len(window) for window in windows])),
        "true_first": ("question", spans[:, 0]),
        "true_last": ("question", spans[:, 1]),
        "part": (("question", "token"), parts),
        "char_start": (("question", "token"), chars[0]),
        "char_end": (("question", "token"), chars[1]),
    }


def make_logits(rows: list[dict], steps: list[int], jump: int | None, seed: int = 1) -> xr.Dataset:
    """Logits whose best span becomes the true one at about step `jump`: a wrong one before that.

    A span's probability is its share of exp(start + end) among the context's spans.
    """
    rng = np.random.default_rng(seed)
    n_tokens = max(len(row["tokens"]) for row in rows) + 3
    shape = (len(steps), len(rows))
    arrays = {
        "logit": np.full((*shape, 2, n_tokens), np.nan, dtype=np.float32),
        "loss": np.zeros((*shape, 2), dtype=np.float32),
        "answer": np.zeros((*shape, 2), dtype=np.int32),
        "rank": np.zeros(shape, dtype=np.int32),
    }
    scalars = ("probability", "answer_probability", "exact_match")
    arrays |= {name: np.zeros(shape, dtype=np.float32) for name in scalars}
    for q, row in enumerate(rows):
        n, truth = len(row["tokens"]), true_span(row)
        context = np.flatnonzero([part == "context" for _, part, *_ in _window(row)])
        decoy = rng.choice(context[context > truth[1]][:-2])
        noise = rng.normal(size=(2, n))
        for s, step in enumerate(steps):
            far = 0.0 if jump is None else 1 / (1 + np.exp(-(step - jump) / (0.04 * steps[-1] + 1)))
            logit = 0.6 * noise + 0.15 * rng.normal(size=(2, n))
            early = 1 - np.exp(-3 * step / (steps[-1] + 1))
            logit[:, context] += 2 * early
            logit[0, decoy] += 4 * early * (1 - far)
            logit[1, decoy + 1] += 4 * early * (1 - far)
            logit[[0, 1], truth] += 3.4 * early + 4.6 * far
            arrays["logit"][s, q, :, :n] = logit
            arrays["loss"][s, q] = -log_softmax(logit, axis=1)[[0, 1], truth]
            spans = [(a, b) for a in context for b in context if a <= b < a + MOST_ANSWER_TOKENS]
            spans = spans if row["answers"] else [(0, 0), *spans]
            scores = np.array([logit[0, a] + logit[1, b] for a, b in spans])
            chances = np.exp(scores - logsumexp(scores))
            best, true = int(scores.argmax()), spans.index(truth)
            arrays["answer"][s, q] = spans[best]
            arrays["rank"][s, q] = 1 + (scores > scores[true]).sum()
            arrays["answer_probability"][s, q] = chances[best]
            arrays["probability"][s, q] = chances[true]
            arrays["exact_match"][s, q] = best == true
    axes = {"logit": ("row", "token"), "loss": ("row",), "answer": ("row",)}
    return xr.Dataset(
        {
            name: (("step", "question", *axes.get(name, ())), values)
            for name, values in arrays.items()
        },
        coords={"step": steps, "row": ROWS, **coordinates(rows, n_tokens)},
    )


def make_attention(
    rows: list[dict], steps: list[int], layers: list[int], n_heads: int, seed: int = 1
) -> xr.Dataset:
    """Attention that sharpens: a head looks ever more at the token `head + 1` before its own."""
    rng = np.random.default_rng(seed)
    n_tokens = max(len(row["tokens"]) for row in rows) + 3
    shape = (len(steps), len(rows), len(layers), n_heads, n_tokens, n_tokens)
    weight = np.full(shape, np.nan, dtype=np.float16)
    for q, row in enumerate(rows):
        n = len(row["tokens"])
        scores = rng.normal(size=(len(layers), n_heads, n, n))
        scores[..., 0] += 1.5
        for s, step in enumerate(steps):
            sharp = scores.copy()
            for head in range(n_heads):
                at = np.arange(head + 1, n)
                sharp[:, head, at, at - head - 1] += 6 * step / (steps[-1] + 1)
            weight[s, q, :, :, :n, :n] = softmax(sharp, axis=-1)
    axes = ("step", "question", "layer", "head", "query", "key")
    coords = {"step": steps, "layer": layers, "head": np.arange(n_heads)}
    return xr.Dataset({"weight": (axes, weight)}, coords=coords | coordinates(rows, n_tokens))


def make_heads(attention: xr.Dataset) -> xr.Dataset:
    """Entropy and distance of each head, from its attention."""
    weight = attention["weight"].astype(np.float64)
    entropy = (
        -(weight * np.log(weight.where(weight > 0))).sum("key").where(weight.notnull().any("key"))
    )
    away = abs(
        xr.DataArray(np.arange(weight.sizes["query"]), dims="query")
        - xr.DataArray(np.arange(weight.sizes["key"]), dims="key")
    )
    distance = (weight * away).sum("key").where(weight.notnull().any("key"))
    return xr.Dataset({"entropy": entropy.mean("query"), "distance": distance.mean("query")})
