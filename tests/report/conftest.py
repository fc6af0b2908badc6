"""Runs that were really trained, for reports to be made of."""

import json
import random
import shutil

import pytest

from tests.tiny_run import TINY

# Each is shown as it is: markup of HTML, typst and matplotlib, quotes, other directions of writing, signs
# that our fonts lack, addresses, and a word that is longer than a line.
LONG_WORD = "Donaudampfschifffahrtsgesellschaftskapitän" * 3
WORDS = (
    *("stone", "<b>bold</b>", "&", "&amp;", '"quoted"', "'single'", "\u201ccurly\u201d", "\u2014"),
    *(
        "\U0001f393",
        "\U0001f469\u200d\U0001f3eb",
        "שלום עולם",
        "مرحبا بالعالم",
        "Привет",
        "日本",
        "naïve",
    ),
    *(
        "$x_1$",
        "#set",
        "*star*",
        "_under_",
        "`tick`",
        "[x](y)",
        "\\frac{1}{2}",
        "</script>",
        LONG_WORD,
    ),
    "https://example.org/a?b=c&d=e",
)
ANSWER = '"chess & <more>" שלום'
LOOKS = (
    "capture=default",
    "capture/recorders=[logits,head_weights,attention,heads,attribution,unit_traces]",
    "capture.unit_traces.units=[3]",
    "capture.every_n_steps=2",
    "capture.max_step_fraction=null",
    "capture.tensorboard=false",
    "logger.graph=false",
)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, cache):
    """The folder of two tiny finished runs, the first with a report; not to be changed."""
    from qa_research.launch.compose import default_config
    from qa_research.report.story import write_report
    from qa_research.training.story import train

    folder = tmp_path_factory.mktemp("reported") / "runs"
    for seed in (1, 2):
        words = [*TINY, *LOOKS, f"paths.runs={folder}", f"paths.cache={cache}", f"seed={seed}"]
        train(default_config("train", [*words, "study=pair"]))
    write_report([str(next((folder / "pair").glob("*-s1-*")))], folder, None, default_config())
    return folder


@pytest.fixture(scope="session")
def any_text(tmp_path_factory, cache):
    """The folder of two tiny runs on texts of all kinds, with their answers; not to be changed."""
    from qa_research.launch.compose import default_config
    from qa_research.training.story import train

    folder = tmp_path_factory.mktemp("any_text")
    for name, first in (("train", 0), ("validation", 50)):
        questions = [outlandish(first + i, 30) for i in range(7)]
        questions.append(outlandish(first + 7, 5000))
        write_squad(folder / f"{name}.json", questions)
    own = [word for word in TINY if not word.startswith(("data.", "trainer.max_epochs"))]
    words = [
        *(*own, *LOOKS, "trainer.max_steps=10", "data=squad_file", "data.batch_size=8"),
        *(f"data.{name}_path={folder / name}.json" for name in ("train", "validation")),
        *("capture.questions=[q57,q7,q50,q1]", f"paths.runs={folder / 'runs'}"),
        *(f"paths.cache={cache}", "study=pair"),
    ]
    for seed in (1, 2):
        train(default_config("train", [*words, f"seed={seed}"]))
    return folder / "runs"


@pytest.fixture
def runs(trained, tmp_path):
    """A copy of them."""
    return shutil.copytree(trained, tmp_path / "runs")


@pytest.fixture
def run(runs):
    """The first run."""
    return next((runs / "pair").glob("*-s1-*"))


def outlandish(number, words):
    """A question with its context of so many words or a few more, as SQuAD has it."""
    draw = random.Random(number)
    said: list[str] = []
    while len(said) < words:
        # Each of them is near every place of the text.
        said += draw.sample(WORDS, len(WORDS))
    said.insert(words // 2, f"Ms Lund \U0001f393 teaches {ANSWER}.")
    context = " ".join(said)
    return {
        "context": context,
        "qas": [
            {
                "id": f"q{number}",
                "question": f"Who \U0001f393 <i>teaches</i> 'chess' & שלום {number}?",
                "answers": [{"text": ANSWER, "answer_start": context.index(ANSWER)}],
            }
        ],
    }


def write_squad(path, paragraphs):
    """A SQuAD file with an article of each paragraph."""
    articles = [{"title": "<T> & \U0001f393", "paragraphs": [one]} for one in paragraphs]
    path.write_text(json.dumps({"version": "1.1", "data": articles}), encoding="utf-8")
