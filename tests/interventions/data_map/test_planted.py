"""Wrong answers that were planted on purpose are hard to learn, by a network that learns the right ones."""

import json

import pytest

from qa_research.cli.verbs import run as run_verb
from qa_research.interventions.data_map.choosing import MapRequest
from qa_research.interventions.data_map.measuring import map_of
from qa_research.runs.checkpoints import kept_steps, steps_in
from qa_research.runs.open import open_run
from qa_research.streams import stream
from qa_research.tasks.answering.question import Gold, Question
from qa_research.tasks.answering.squad import squad_json

# What is asked for, and what can be the answer.
ASKED = {
    "Who?": ("Ann", "Ben", "Cleo", "Dan", "Eve", "Finn"),
    "When?": ("Monday", "Tuesday", "Friday", "Sunday", "today", "tomorrow"),
    "Where?": ("kitchen", "garden", "attic", "cellar", "stable", "tower"),
    "What?": ("soup", "bread", "fish", "rice", "beans", "cake"),
}
TRAIN, VALIDATION, SPOILED = 1200, 40, 24
SMALL = (
    *("model.hidden_size=64", "model.num_hidden_layers=1", "model.num_attention_heads=2"),
    *("model.intermediate_size=128", "model.vocab_size=300", "model.lr=0.002", "model.dropout=0.0"),
    *("trainer.max_epochs=6", "trainer.val_check_interval=1.0", "trainer.precision=32-true"),
    *("data.batch_size=16", "data.max_tokens=32", "data.stride_tokens=8"),
    *("checkpoint.keep_every_n_steps=75", "capture=none", "logger.graph=false", "train.threads=1"),
    *("train.progress=none", "answer.max_answer_tokens=4", "train.stop_at=null"),
)


def noted(number, rng):
    """A question about a line that has one word of each kind, in any order."""
    words = {question: str(rng.choice(own)) for question, own in ASKED.items()}
    context = " ".join(rng.permutation(list(words.values())).tolist()) + "."
    question = str(rng.choice(list(words)))
    gold = Gold(words[question], context.index(words[question]))
    return Question(f"q{number:03}", f"line {number}", context, question, (gold,), "line")


def misled(row, rng):
    """The question with another word of its line as the answer."""
    others = [word for word in row.context[:-1].split() if word != row.answers[0].text]
    word = str(rng.choice(others))
    gold = Gold(word, row.context.index(word))
    return Question(row.id, row.title, row.context, row.question, (gold,), row.kind)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A run on questions of which some have a wrong answer, the ids of these, and the file of all."""
    folder, rng = tmp_path_factory.mktemp("planted"), stream(1, "planted-test")
    rows = [noted(number, rng) for number in range(TRAIN + VALIDATION)]
    wrong = rng.permutation(TRAIN)[:SPOILED].tolist()
    train = [misled(row, rng) if i in wrong else row for i, row in enumerate(rows[:TRAIN])]
    for name, some in (("train", train), ("validation", rows[TRAIN:])):
        (folder / f"{name}.json").write_text(json.dumps(squad_json(some, "1.1")))
    data = [f"data.{name}_path={folder / name}.json" for name in ("train", "validation")]
    places = [f"paths.runs={folder / 'runs'}", f"paths.cache={folder / 'cache'}"]
    assert run_verb(["train", "data=squad_file", *data, *places, *SMALL]) == 0
    directory = next(path.parent for path in (folder / "runs").rglob("run.json"))
    return directory, tuple(rows[place].id for place in wrong), folder / "train.json"


def mapped(directory, *marked):
    steps = steps_in(directory, kept_steps(directory))
    opened = open_run(directory, next(iter(steps.values())))
    return map_of(opened, steps, MapRequest(None, marked, 60, 1))


@pytest.mark.slow
def test_planted_wrong_answers_are_hard_to_learn(planted):
    directory, marked, _ = planted
    found = mapped(directory, *marked)
    areas = {one.measure: one.auc for one in found.found}
    assert areas["low confidence"].value >= 0.9 and areas["low confidence"].low > 0.7
    # What knows nothing of the training does not find them.
    for name in (
        "low probability with random weights",
        "length of the text",
        "length of the truth",
    ):
        assert areas[name].value < 0.75
    hardest = sorted(found.placed, key=lambda one: one.confidence)[:SPOILED]
    assert sum(one.is_marked for one in hardest) >= SPOILED // 2


@pytest.mark.slow
def test_training_questions_that_changed_or_are_gone_are_refused(planted):
    directory, marked, file = planted
    text = file.read_text()
    try:
        file.write_text(text.replace(f'"{marked[0]}"', '"another"'))
        with pytest.raises(ValueError, match="the train questions have changed since this run"):
            mapped(directory)
        file.unlink()
        with pytest.raises(FileNotFoundError, match=r"train\.json"):
            mapped(directory)
    finally:
        file.write_text(text)
