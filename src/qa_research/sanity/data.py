"""Checks of batches against the examples that they were made of; no network is asked."""

import re
import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher

from qa_research.sanity.bench import Bench
from qa_research.sanity.check import Check, Found
from qa_research.tasks.wiring import ShownRow
from qa_research.text import plural

# Answers may begin inside a token, and vocabularies drop accents: few labels may differ for good reasons.
MOST_OTHER_LABELS = 0.05
# Of the letters that ids spell and those that they were made of.
FEWEST_ALIKE = 0.8
MOST_UNKNOWN = 0.2
MOST_LOST = 0.05
MOST_SHARED = 0.01


def rows_shown(bench: Bench) -> list[ShownRow]:
    """All rows of the bench's batches."""
    wiring = bench.wiring
    return [
        wiring.show(batch, row) for batch in bench.batches for row in range(len(batch[wiring.read]))
    ]


def labels_are_the_truth(bench: Bench) -> Found:
    """The label of each row of a batch is that of the example that the row was made of."""
    rows = rows_shown(bench)
    others = [row for row in rows if row.label.strip() != row.truth.strip()]
    first = (
        f"; first, {others[0].id}: {others[0].label!r} for {others[0].truth!r}" if others else ""
    )
    return Found.judged(
        len(others) <= MOST_OTHER_LABELS * len(rows),
        f"{len(others)} of {plural(len(rows), 'label')} are others than the example's{first}",
        f"at most {100 * MOST_OTHER_LABELS:.0f} %",
        "where labels are made: offsets off by one, an order of labels that is not the order of inputs, "
        "offsets of another tokenizer",
    )


def ids_spell_the_text(bench: Bench) -> Found:
    """The ids of a batch, read with the network's tokenizer, are the text; the network knows them all."""
    wiring, rows = bench.wiring, rows_shown(bench)
    look_at = "which tokenizer made the ids: that of model.tokenizer or model.weights makes the batches, too"
    if wiring.vocabulary is not None:
        largest = max(int(batch[wiring.read].max()) for batch in bench.batches)
        if largest >= wiring.vocabulary:
            measured = f"an id of {largest:,}"
            return Found.judged(
                False,
                measured,
                f"less than {wiring.vocabulary:,}, all ids that the network has",
                look_at,
            )
    share = _unknown_share(bench)
    if share > MOST_UNKNOWN:
        return Found.judged(
            False,
            f"{100 * share:.0f} % of the tokens are unknown to the vocabulary",
            f"at most {100 * MOST_UNKNOWN:.0f} %",
            look_at,
        )
    # Long texts are compared for a few rows, which is quick and enough.
    worst = min(rows[:16], key=lambda row: alike(row.spelled, row.source))
    likeness = alike(worst.spelled, worst.source)
    shown = (
        ""
        if likeness >= FEWEST_ALIKE
        else f"; {worst.id} spells {worst.spelled[:40]!r} for {worst.source[:40]!r}"
    )
    return Found.judged(
        # Unknown tokens spell nothing.
        likeness >= FEWEST_ALIKE - share,
        f"ids spell {100 * likeness:.0f} % of the text in the worst of {min(16, len(rows))} rows{shown}",
        f"at least {100 * FEWEST_ALIKE:.0f} %",
        look_at,
    )


def _unknown_share(bench: Bench) -> float:
    wiring = bench.wiring
    if wiring.unknown is None:
        return 0.0
    read = [batch[wiring.read][batch[wiring.mask].bool()] for batch in bench.batches]
    return sum(int((ids == wiring.unknown).sum()) for ids in read) / sum(map(len, read))


def alike(spelled: str, source: str) -> float:
    """The share of letters and digits that two texts have in common, in order, from 0 to 1."""
    first, second = map(_letters, (spelled, source))
    if first == second:
        return 1.0
    return SequenceMatcher(None, first, second, autojunk=False).ratio()


def _letters(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    return re.sub(r"[\W_]", "", "".join(c for c in plain if not unicodedata.combining(c)))


def types_are_of_their_text(bench: Bench) -> Found:
    """Each text has the token type that the tokenizer gives it."""
    wiring = bench.wiring
    if not wiring.types:
        return Found.skipped("the network tells no token types apart")
    if len(set(wiring.types_of)) < 2:
        return Found.skipped("the tokenizer gives both texts the same type")
    rows = rows_shown(bench)
    wrong = [row for row in rows if not _has_own_types(row, wiring.texts, wiring.types_of)]
    expected = ", ".join(
        f"{kind} for the {text}" for text, kind in zip(wiring.texts, wiring.types_of, strict=True)
    )
    return Found.judged(
        not wrong,
        f"{len(wrong)} of {len(rows)} rows have others than their tokenizer's",
        expected,
        f"what fills {wiring.types} in a batch",
    )


def _has_own_types(row: ShownRow, texts: Sequence[str], types: Sequence[int]) -> bool:
    if len(row.types) != len(row.parts):
        return False
    own = dict(zip(texts, types, strict=True))
    return all(own.get(part, kind) == kind for part, kind in zip(row.parts, row.types, strict=True))


def mask_is_of_the_tokens(bench: Bench) -> Found:
    """The mask is 1 on the example's tokens, and 0 on padding."""
    rows = rows_shown(bench)
    wrong = [
        row for row in rows if list(row.mask) != [int(part != "padding") for part in row.parts]
    ]
    return Found.judged(
        not wrong,
        f"in {len(wrong)} of {len(rows)} rows the mask is not that of the tokens",
        "1 on every token of the example and 0 on padding",
        f"what fills {bench.wiring.mask} in a batch",
    )


def nothing_is_cut_off(bench: Bench) -> Found:
    """Few labels or words are lost because something is too long."""
    if bench.wiring.lost is None:
        return Found.skipped("what is too long is refused, and nothing is cut")
    lost = bench.wiring.lost()
    return Found.judged(
        lost.count <= MOST_LOST * max(lost.total, 1),
        f"{lost.count:,} of {plural(lost.total, 'training example')} lose their label or words",
        f"at most {100 * MOST_LOST:.0f} %",
        lost.keys,
    )


def parts_share_nothing(bench: Bench) -> Found:
    """No validation example is a training example, by content; what has one id is one example."""
    if bench.wiring.same_on_purpose:
        return Found.skipped("data.validate_on_train=true validates on the training examples")
    train, validation = (bench.examples[split] for split in ("train", "validation"))
    contents, ids = {content for _, content in train}, {name for name, _ in train}
    same = [name for name, content in validation if content in contents]
    named = sum(name in ids for name, _ in validation)
    share = len(same) / max(len(validation), 1)
    first = f" (first: {same[0]})" if same else ""
    return Found.judged(
        share <= MOST_SHARED,
        f"{len(same):,} of {len(validation):,} validation examples are training examples{first}; {named:,} "
        "have an id that the training has, too",
        f"at most {100 * MOST_SHARED:.0f} %",
        "the files of data.train_path and data.validation_path, and what divides them",
    )


CHECKS = (
    Check("labels are the examples' own", labels_are_the_truth),
    Check("ids spell the text", ids_spell_the_text),
    Check("token types are their texts'", types_are_of_their_text),
    Check("the mask is that of the tokens", mask_is_of_the_tokens),
    Check("nothing is cut off", nothing_is_cut_off),
    Check("validation is not training", parts_share_nothing),
)
