"""Two sets of questions side by side: what differs is found, what does not is not."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from qa_research.browse import shift as module
from qa_research.browse.shift import FEWEST_CONTEXTS, Shift, divergences, sentences, shift
from qa_research.cli.verbs import app
from qa_research.tasks.answering.corpus import generate
from qa_research.tasks.answering.question import Gold, Question

NAMES = ("one", "other")
ROWS = generate(0).train[:400]


def asked(context: str, question: str) -> Question:
    return Question("id", "title", context, question, (Gold(context.split()[0], 0),), "other")


@pytest.fixture(scope="module")
def halves() -> Shift:
    """Of one set, by context."""
    contexts = list(dict.fromkeys(row.context for row in ROWS))
    first = set(contexts[::2])
    return shift(
        NAMES,
        ([r for r in ROWS if r.context in first], [r for r in ROWS if r.context not in first]),
    )


@pytest.fixture(scope="module")
def changed() -> Shift:
    """A set, and the same about clubs instead of groups, a few words longer."""
    greeting = "Dear members and friends of our school, please note: "
    others = [
        replace(row, context=greeting + row.context.replace("group", "club"), answers=())
        for row in ROWS[200:]
    ]
    return shift(NAMES, (ROWS[:200], others))


def test_divergences_by_hand() -> None:
    kl, js, unseen = divergences(np.array([3.0, 1, 0]), np.array([1.0, 1, 2]))
    # With half a word more: 3.5 1.5 0.5 and 1.5 1.5 2.5, of 5.5.
    expected = (1.5 * np.log2(1.5 / 3.5) + 2.5 * np.log2(2.5 / 0.5)) / 5.5
    assert kl == pytest.approx(expected)
    assert js == pytest.approx((0.75 * np.log2(1.5) + 0.25 * np.log2(0.5) + 0.5 * np.log2(2)) / 2)
    assert unseen == 0.5


def test_equal_words_are_no_distance_and_different_ones_are_a_whole_bit() -> None:
    assert divergences(np.array([2.0, 4]), np.array([2.0, 4])) == (0, 0, 0)
    _, js, unseen = divergences(np.array([5.0, 0]), np.array([0.0, 9]))
    assert (js, unseen) == (pytest.approx(1), 1)
    assert divergences(np.zeros(2), np.array([1.0, 2])) == (0, 0, 0)


def test_halves_of_one_set_are_not_told_apart(halves: Shift) -> None:
    for told in halves.told.values():
        assert told is not None and told.auc <= max(told.chance, 0.6) and told.low < told.high
    assert abs(halves.lengths["context"].medians[0] - halves.lengths["context"].medians[1]) <= 3
    assert halves.questions == (200, 200) and halves.shared_contexts == 0


def test_other_words_and_longer_texts_are_found(changed: Shift) -> None:
    told = changed.told["context"]
    assert told is not None and told.auc > 0.99 > told.chance
    assert "A classifier tells the contexts apart: AUC 1.00" in sentences(changed)[2]
    words = changed.words["context"]
    assert words.unseen.is_more_than_chance and words.js.is_more_than_chance
    assert changed.lengths["context"].distance.is_more_than_chance
    # The questions are the same as before.
    assert not changed.words["question"].js.is_more_than_chance
    # One of the sets has no answers.
    assert "first answer" not in changed.lengths


def test_what_is_by_chance_is_beyond_it_in_few_divisions() -> None:
    contexts = list(dict.fromkeys(row.context for row in ROWS))
    generator = np.random.default_rng(1)
    beyond = []
    for _ in range(20):
        first = set(generator.permutation(np.array(contexts, dtype=object))[: len(contexts) // 2])
        parts = (
            [row for row in ROWS if row.context in first],
            [row for row in ROWS if row.context not in first],
        )
        known = tuple(list(dict.fromkeys(row.context for row in rows)) for rows in parts)
        second = np.repeat([False, True], [len(some) for some in known])
        texts = module._places(parts, known)["context"]
        found = module._words(texts, second, list(module._divisions(second)))
        beyond.append(found.js.is_more_than_chance)
    # Of 20 at 5 % more than 4 have a chance of 0.3 %.
    assert sum(beyond) <= 4


def test_texts_of_a_context_in_both_sets_cannot_tell() -> None:
    found = shift(NAMES, (ROWS, ROWS))
    assert found.shared_contexts == found.contexts[0]
    told = found.told["context"]
    assert told is not None and told.auc == pytest.approx(0.5, abs=0.05)
    assert found.words["context"].js.value == pytest.approx(0, abs=1e-9)


def test_few_contexts_are_not_classified() -> None:
    few = [asked(f"Word{i} is here.", f"What is {i}?") for i in range(FEWEST_CONTEXTS - 1)]
    found = shift(NAMES, (few, ROWS))
    assert found.told == {"question": None, "context": None}
    assert f"fewer than {FEWEST_CONTEXTS} contexts" in sentences(found)[1]


def test_texts_without_a_word_have_no_words() -> None:
    signs = [asked(f"{'! ' * (i + 1)}", "?") for i in range(FEWEST_CONTEXTS)]
    found = shift(NAMES, (signs, signs))
    assert found.words["question"].js.value == 0
    told = found.told["question"]
    assert told is not None and told.auc == 0.5


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(ValueError, match="other has no questions"):
        shift(NAMES, (ROWS, []))


def test_the_verb_prints_and_gives_json(tmp_path) -> None:
    for name, rows in (("a", ROWS[:60]), ("b", ROWS[60:120])):
        lines = [
            json.dumps(
                {
                    "id": row.id,
                    "context": row.context,
                    "question": row.question,
                    "answers": {
                        "text": [gold.text for gold in row.answers],
                        "answer_start": [gold.start for gold in row.answers],
                    },
                }
            )
            for row in rows
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    words = ["squad", "shift", str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]
    printed = CliRunner().invoke(app, words)
    assert printed.exit_code == 0 and "by chance below" in printed.stdout
    told = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert told["questions"] == [60, 60] and set(told["words"]) == {"question", "context"}
