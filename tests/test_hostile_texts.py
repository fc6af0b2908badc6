"""One list of hostile texts goes through everything that shows data."""

import json
import shlex
from pathlib import Path

import pytest

from qa_research.tasks.answering.question import Gold, Question
from qa_research.tasks.answering.squad import squad_json
from qa_research.text import command_line, disarmed, json_text
from tests.hostile import HOSTILE, OBEYED
from tests.html_pages import ParsedPage
from tests.tiny_run import TINY, train

FOLDER = "it's [x] $x$ <b> runs"


def asked(text: str) -> Question:
    """A question whose id, title, question and context hold the text."""
    context = f"Ms Lund teaches {text} chess. Judo is on Monday."
    question = f"Who teaches {text[:40]} chess?"
    return Question(text, f"Notice {text}", context, question, (Gold("Ms Lund", 0),), "who")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run that was trained on hostile texts and has watched some."""
    from hydra import compose, initialize_config_dir

    from qa_research.launch.compose import conf_directory

    root = tmp_path_factory.mktemp("hostile")
    rows = [asked(text) for text in HOSTILE.values()]
    (root / "data.json").write_text(json.dumps(squad_json(rows, "1.1")))
    sizes = [word for word in TINY if "_questions=" not in word]
    with initialize_config_dir(str(conf_directory()), version_base="1.3"):
        config = compose(
            "train",
            [
                *sizes,
                "data=squad_file",
                f"data.train_path={root / 'data.json'}",
                f"data.validation_path={root / 'data.json'}",
                f"capture.questions={root / 'data.json'}",
                "capture.max_step_fraction=null",
                f"paths.cache={root / 'cache'}",
                "paths.runs=?",
            ],
        )
    config.paths.runs = str(root / FOLDER)
    train(config)
    (directory,) = (root / FOLDER / str(config.study)).iterdir()
    return directory


@pytest.fixture
def shown(verb, trained):
    """Run a verb on the run: what it printed, of which a terminal obeys nothing."""

    def run(*words: str) -> str:
        code, out, err = verb(*words)
        assert code == 0, err
        assert not OBEYED.search(out + err)
        return out

    return run


def test_no_verb_prints_what_a_terminal_would_obey(shown, trained):
    run, runs = str(trained), ("--runs", str(trained.parent.parent))
    data = str(trained.parent.parent.parent / "data.json")
    cache = ("--cache", str(trained.parent.parent.parent / "cache"))
    ask = ("--question", HOSTILE["title"] + " who?", "--context", asked(HOSTILE["colour"]).context)
    for index, text in enumerate(HOSTILE.values()):
        assert disarmed(f"Notice {text}", lines=False).strip() in shown(
            "squad", str(index), "--data", data, *cache
        )
    for words in [
        ("squad", "search", "teaches", "--data", data, *cache),
        ("squad", "stats", "--data", data, *cache),
        ("runs", "list", *runs),
        ("runs", "show", run, *runs),
        ("evaluate", run, *runs),
        ("evaluate", run, "--json", *runs),
        ("ask", run, *ask, *runs),
        ("efficacy", "ask", run, "--questions", "12", *runs),
        ("efficacy", "ask", run, "--rounds", "2", *runs),
        ("efficacy", "table", *runs),
        ("ledger", "sql", "SELECT * FROM asked_questions", *runs),
        ("ledger", "sql", "SELECT * FROM asked_questions", "--json", *runs),
        ("attribute", run, *ask, "--samples", "20", *runs),
    ]:
        shown(*words)


def test_markup_in_an_id_is_shown(shown, trained):
    out = shown("watch", str(trained), "--question", HOSTILE["closing markup"])
    for name in ("closing markup", "markup", "mathtext"):
        assert HOSTILE[name] in out


def test_json_says_the_same_text(shown, trained):
    found = json.loads(shown("watch", str(trained), "--json"))
    assert {HOSTILE["C1"], HOSTILE["override"]} <= {row["id"] for row in found["questions"]}
    for text in HOSTILE.values():
        assert json.loads(json_text(text)) == text and not OBEYED.search(json_text(text))


def test_every_film_is_a_safe_page(shown, trained):
    for text in HOSTILE.values():
        shown("watch", str(trained), "--question", text)
    for path in (trained / "films").iterdir():
        if path.suffix == ".html":
            page = path.read_text(encoding="utf-8")
            found = ParsedPage(page)
            assert [tag for tag, _ in found.tags].count("script") == 2
            assert not any(name.startswith("on") for _, names in found.tags for name in names)
            assert not OBEYED.search(page)


def test_figures_show_formulas_as_text(shown, trained):
    shown("watch", str(trained), "--question", HOSTILE["mathtext"], "--figures")
    assert len(list(trained.glob("films/*/*.png"))) > 5


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_figure_is_drawn_whatever_its_text(ending, tmp_path):
    from qa_research.figures.panels import PlainFigure

    figure = PlainFigure(layout="constrained")
    panel = figure.subplots()
    for place, text in enumerate(HOSTILE.values()):
        panel.text(0, place / len(HOSTILE), text[:80])
    panel.set(title=HOSTILE["mathtext"], xlabel=HOSTILE["NUL"], ylabel=HOSTILE["override"])
    panel.set_xticks([0, 1], [HOSTILE["mathtext"], HOSTILE["C1"]])
    path = tmp_path / f"a.{ending}"
    figure.savefig(path, dpi=80)
    if ending == "svg":
        text = path.read_text(encoding="utf-8")
        assert "<script>" not in text and not OBEYED.search(text)


def test_commands_to_paste_are_quoted(shown, trained):
    assert shlex.split(command_line("qa-research", "evaluate", trained)) == [
        "qa-research",
        "evaluate",
        str(trained),
    ]
    out = shown("runs", "show", str(trained), "--runs", str(trained.parent.parent))
    (line,) = [line for line in out.splitlines() if line.startswith("next ")]
    assert shlex.split(line)[1:] == ["qa-research", "evaluate", str(trained)]


def test_a_pipe_gets_unbroken_lines(shown, trained):
    out = shown("watch", str(trained))
    (line,) = [line for line in out.splitlines() if "  ../../etc/passwd  " in line]
    assert "Who teaches ../../etc/passwd chess?" in line and "Ms Lund" in line
