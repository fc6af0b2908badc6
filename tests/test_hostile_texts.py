"""One list of hostile texts goes through everything that shows data."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.models import get_model

from qa_research.capture.recording.reader import Recording
from qa_research.cli.verbs import run as run_verb
from qa_research.console import Screen
from qa_research.ledger.runs import LEDGER, Ledger
from qa_research.ledger.stacks import Frame, Sample, write_recording
from qa_research.runs.bundle import write_bundle
from qa_research.runs.directory import read_record
from qa_research.tasks.answering.question import Gold, Question
from qa_research.tasks.answering.squad import squad_json
from qa_research.text import command_line, json_text
from qa_research.watch.index import page_name
from qa_research.watch.page import INDEX, FilmLink, film_page
from qa_research.watch.story import with_attention
from tests.hostile import HOSTILE, OBEYED
from tests.html_pages import ParsedPage
from tests.ledger.old_lab.databases import write_old_lab, write_stacks
from tests.stacks.recordings import make_recording
from tests.tiny_run import TINY
from tests.verbs import VERBS

FOLDER = "it's [x] $x$ <b> \x1b[31m\u202e runs"
STUDY = "[bold]$x_$ <b> \u202e :smile:"
# Verbs that end with 1 where what they check is not well, as a training that validates on what it learned.
JUDGES = {"sanity"}
MODEL = "[x] $_$ 'q'"
SIZES = [word for word in TINY if "_questions=" not in word]


def asked(text: str) -> Question:
    """A question whose id, title, question and context hold the text."""
    context = f"Ms Lund {text} teaches {text} chess. Judo is on Monday."
    question = f"Who teaches {text[:40]} chess?"
    golds = (Gold("Ms Lund", 0), Gold(f"Ms Lund {text}", 0))
    return Question(text, f"Notice {text}", context, question, golds, "who")


def minimal_pair(text: str) -> list[Question]:
    """Two questions about the text that differ in a letter, which is the answer."""
    context = f"a b {text}"
    return [
        Question(f"{letter} {text}", text, context, f"Who {text[:40]} {letter}?", (gold,), "who")
        for letter, gold in (("a", Gold("a", 0)), ("b", Gold("b", 2)))
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of hostile data, and below FOLDER the run that was trained on it and watched it."""
    root = tmp_path_factory.mktemp("hostile")
    rows = [asked(text) for text in HOSTILE.values()]
    (root / "data.json").write_text(json.dumps(squad_json(rows, "1.1")))
    (root / f"{FOLDER}.json").write_text(json.dumps(squad_json(rows, "1.1")))
    pairs = [row for text in HOSTILE.values() for row in minimal_pair(text)]
    (root / "pairs.json").write_text(json.dumps(squad_json(pairs, "1.1")))
    predicted = [{"id": text, "prediction_text": text} for text in HOSTILE.values()]
    (root / "predictions.json").write_text(json.dumps(predicted))
    states = [(f"{text}-7-{text}", 1, 3, text) for text in HOSTILE.values()]
    write_old_lab(root / "old.db", states, [(1, 3, "1,2,3"), (2, HOSTILE["title"], "x")])
    # SQLite has no table whose name has a NUL.
    lines = [(text, number, text) for number, text in enumerate(HOSTILE.values())]
    functions = [text for text in HOSTILE.values() if "\0" not in text]
    write_stacks(root / "old.db", [(text, lines, 1) for text in functions])
    write_classifier(root)
    with pytest.MonkeyPatch.context() as environment:
        # The study's name has a $x_, as a text of data may have.
        environment.setenv("x_", "a value of the environment")
        assert run_verb(training(root)) == 0
    sample(root)
    return root


def sample(root: Path) -> None:
    """Two recordings of the run, of hostile programs: each text is a file, a function and a line of code."""
    frames = [Frame(text, 7, text, text) for text in HOSTILE.values()]
    samples = [
        Sample(
            place / 10, phase, (*frames[: place % 24], frames[place % 24]), place, place % 5 == 0
        )
        for place, phase in enumerate(["forward", STUDY] * 100)
    ]
    run = read_record(run_of(root, 1))
    assert run is not None
    for samples_of_one in (samples, samples[:80]):
        recording = make_recording(
            samples=tuple(samples_of_one), run_id=run["id"], run=STUDY, command=(STUDY,), to_s=20.0
        )
        with Ledger(root / FOLDER / LEDGER) as ledger:
            write_recording(ledger, recording)


def training(root: Path, *more: str) -> list[str]:
    """The command that trains the run."""
    data = f"{root / FOLDER}.json"
    return [
        *("train", *SIZES, "data=squad_file", f"data.train_path={data}"),
        *(f"data.validation_path={data}", f"capture.questions={data}", f"study={STUDY}"),
        *(f"model.name={MODEL}", "capture.max_step_fraction=null", f"paths.cache={root / 'cache'}"),
        *(
            f"paths.runs={root / FOLDER}",
            "data.on_bad_rows=drop",
            "checkpoint.keep_every_n_steps=2",
        ),
        *more,
    ]


def write_classifier(root: Path) -> None:
    """A picture of a hostile name, and the weights of a network whose classes have hostile names."""
    Image.new("RGB", (32, 32), "red").save(root / f"{FOLDER}.png")
    (root / "labels.json").write_text(json.dumps(list(HOSTILE.values())))
    network = get_model("squeezenet1_1", weights=None, num_classes=len(HOSTILE))
    torch.save(network.state_dict(), root / "weights.pth")


def run_of(place: Path, seed: int) -> Path:
    """The directory of a run."""
    (found,) = (path for path in (place / FOLDER / STUDY).iterdir() if f"-s{seed}-" in path.name)
    return found


@pytest.fixture
def trained(place: Path) -> Path:
    """The directory of the run that the fixture trained."""
    return run_of(place, 1)


@pytest.fixture
def printed(verb, place, monkeypatch) -> Callable[..., str]:
    """Run a verb: what it printed in a pipe, of which a terminal obeys nothing."""
    monkeypatch.chdir(place)

    def run(*words: str) -> str:
        code, out, err = verb(*words)
        assert code == 0 or (code == 1 and words[0] in JUDGES), err
        assert not OBEYED.search(out + err)
        return out

    return run


@pytest.fixture(params=["pipe", "terminal"])
def shown(request, printed, monkeypatch) -> Callable[..., str]:
    """The same, in a pipe and on a terminal of 80 columns without colours: every escape is one of data."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")
    if request.param == "terminal":
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(Screen, "is_terminal", True)
    return printed


ASKED = ("--question", HOSTILE["title"] + " who?", "--context", asked(HOSTILE["colour"]).context)
RUNS = ("--runs", FOLDER)
GRAFTED = ("--from", "last", "--into", "2")
BROWSED = ("--data", f"{FOLDER}.json", "--cache", "cache")
EXPLAINED = (
    *("segmenter=grid", "segmenter.rows=2", "segmenter.columns=1", "trust.random_orders=20"),
    *("trust.top=1", "classifier=torchvision", "classifier.name=squeezenet1_1"),
    *("classifier.weights=weights.pth", "classifier.labels=labels.json", "counterfactual.top=1"),
)
# Every verb, by its words: the command lines that the texts go through.
# A program that can be sampled; what follows it on the command line is kept as its command.
SAMPLED = """
import time
from qa_research.sampled import answer_if_asked
answer_if_asked()
time.sleep(0.5)
"""
THROUGH: dict[str, list[tuple[str, ...]]] = {
    "train": [("TRAIN", "seed=2")],
    "sanity": [("TRAIN", "seed=2")],
    "resume": [("RUN", *RUNS)],
    "runs list": [RUNS],
    "runs show": [("RUN", *RUNS)],
    "runs scan": [RUNS],
    "runs compare": [("RUN", "s2-", *RUNS)],
    "report": [("RUN", "s2-", *RUNS, "--out", "NEW")],
    "evaluate": [
        ("RUN", *RUNS, "--wrong", "50"),
        ("RUN", "--data", f"{FOLDER}.json", *RUNS, "--wrong", "50"),
    ],
    "predict": [("RUN", *RUNS), ("RUN", "--data", f"{FOLDER}.json", "--out", "predicted", *RUNS)],
    "ask": [("RUN", *ASKED, *RUNS)],
    "forward": [
        ("RUN", *ASKED, *RUNS),
        *(("RUN", "--question", HOSTILE[name], *RUNS) for name in ("colour", "C1", "slash")),
        *(
            ("RUN", *ASKED, *RUNS, "--figures", "--out", "NEW", "--format", end)
            for end in ("png", "svg")
        ),
    ],
    "weights": [("RUN", *RUNS, "--out", "NEW")],
    "data-map": [
        ("RUN", *RUNS, "--hard", "50", "--ambiguous", "2", "--out", "NEW"),
        ("RUN", *RUNS, "--marked", HOSTILE["colour"], "--format", "svg", "--out", "NEW"),
    ],
    "influence": [
        ("RUN", *RUNS, "--examples", "12", "--questions", "3", "--out", "NEW", "--format", end)
        for end in ("png", "svg")
    ],
    "graft": [("RUN", *GRAFTED, "--random", "1", "--shapley", *RUNS, "--out", "NEW")],
    "patch": [("RUN", *RUNS, "--steps", "best", "--pairs-file", "pairs.json", "--out", "NEW")],
    "replay": [("RUN", "--from-start", *RUNS)],
    # Another seed, so that the other runs are still found by theirs.
    "fork": [("RUN", "--at", "1", "--from-start", "seed=3", *RUNS)],
    "what-if": [
        (
            *("RUN", "--at", "1", "--to", "2", "--silence", "heads.0.0", "--from-start"),
            *("--random", "1", "--questions", "4", *RUNS, "--out", "NEW"),
        )
    ],
    "probe": [("RUN", *RUNS, "--questions", "40", "--random", "1", "--out", "NEW")],
    "efficacy ask": [
        ("RUN", "--questions", "12", *RUNS),
        ("RUN", "--rounds", "2", *RUNS),
        ("RUN", "--questions", "12", "--data", f"{FOLDER}.json", *RUNS),
    ],
    "efficacy table": [RUNS],
    "efficacy plot": [(*RUNS, "--out", FOLDER, "--format", end) for end in ("png", "svg", "pdf")],
    "squad show": [
        *((str(index), *BROWSED) for index in range(len(HOSTILE))),
        ("0", "--run", "RUN", *RUNS, "--cache", "cache"),
    ],
    "squad search": [("teaches", *BROWSED), (HOSTILE["mathtext"], *BROWSED)],
    "squad stats": [BROWSED],
    "squad shift": [(f"{FOLDER}.json", f"{FOLDER}.json")],
    "squad repeats": [RUNS],
    "squad browse": [BROWSED],
    "watch": [("RUN", *RUNS, "--figures", "--check")],
    "attribute": [
        ("RUN", *ASKED, "--samples", "20", *RUNS),
        ("RUN", "--watched", "--question", HOSTILE["mathtext"], *RUNS),
    ],
    "explain": [("IMAGE", *EXPLAINED)],
    "score": [("predictions.json", "data.json"), ("predictions.json", f"{FOLDER}.json")],
    "export": [("RUN", "NEW", *RUNS)],
    "bundle": [("RUN", *RUNS, "--out", "NEW"), ("RUN", *RUNS, "--out", "NEW", "--with-recording")],
    "runs import": [("BUNDLE", "--runs", "NEW"), ("BUNDLE", *RUNS)],
    "stacks": [
        (
            *RUNS,
            "--",
            sys.executable,
            "-c",
            SAMPLED,
            *(t for t in HOSTILE.values() if "\0" not in t),
        )
    ],
    "stacks show": [("RUN", *RUNS)],
    "stacks list": [RUNS],
    "stacks flame": [("RUN", *RUNS), ("1", *RUNS, "--out", "NEW")],
    # A colon divides a file from a function.
    "stacks tree": [("RUN", "--from", text, *RUNS) for text in HOSTILE.values() if ":" not in text],
    "stacks search": [(text, "RUN", *RUNS) for text in HOSTILE.values() if text[0] != "-"],
    "stacks compare": [("RUN", "2", *RUNS)],
    "stacks speedscope": [("RUN", *RUNS)],
    "ledger sql": [
        ("SELECT * FROM asked_questions", *RUNS),
        RUNS,
    ],
    "ledger export": [(f"{FOLDER}/a.{kind}", "--force", *RUNS) for kind in ("csv", "parquet")],
    "ledger import": [("old.db", "--runs", "NEW")],
    "doctor": [()],
    "runs remove": [("SECOND", "--yes", *RUNS)],
}


def test_the_texts_go_through_every_verb():
    assert VERBS.keys() == THROUGH.keys()


@pytest.mark.parametrize("name", THROUGH)
def test_no_verb_prints_what_a_terminal_would_obey(name, shown, place, monkeypatch):
    answers = iter(["h", "/Lund", "m", "n", HOSTILE["title"], "/\x1b[31m"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers, "q"))
    if name == "squad browse" and not sys.stdout.isatty():
        pytest.skip("browsing needs a terminal")
    for line in THROUGH[name]:
        shown(*name.split(), *filled(line, place))


def filled(line: tuple[str, ...], place: Path) -> Iterator[str]:
    """The words of a command line, with those in capitals replaced."""
    for word in line:
        if word == "TRAIN":
            yield from training(place)[1:]
        elif word == "NEW":
            yield f"new {len(list(place.iterdir()))}"
        elif word == "BUNDLE":
            out = place / f"bundle of {FOLDER}.zip"
            write_bundle(run_of(place, 1), out, place / FOLDER / LEDGER)
            yield str(out)
        elif word in ("RUN", "SECOND"):
            yield str(run_of(place, 1 if word == "RUN" else 2))
        else:
            yield f"image={FOLDER}.png" if word == "IMAGE" else word


SQLITES = ("-shm", "-wal")
# Every word that a verb takes, as a hostile TEXT: nothing of that name exists.
REFUSED: list[tuple[str, ...]] = [
    *((*verb, "TEXT", *RUNS) for verb in (("runs", "show"), ("resume",), ("watch",))),
    *((*verb, "TEXT", *RUNS) for verb in (("runs", "compare", "RUN"), ("efficacy", "table"))),
    *(("stacks", verb, "TEXT", *RUNS) for verb in ("show", "flame", "tree", "speedscope")),
    ("stacks", "search", "who", "TEXT", *RUNS),
    ("stacks", "tree", "RUN", "--from", "no TEXT", *RUNS),
    ("stacks", "compare", "RUN", "TEXT", *RUNS),
    ("runs", "remove", "TEXT", "--yes", *RUNS),
    ("runs", "list", "--sort", "TEXT", *RUNS),
    ("runs", "list", "--study", "TEXT", *RUNS),
    ("runs", "scan", "--runs", "./no TEXT"),
    ("evaluate", "RUN", "--data", "./no TEXT", *RUNS),
    ("evaluate", "RUN", "--split", "TEXT", *RUNS),
    ("predict", "RUN", "--on-bad-rows", "TEXT", *RUNS),
    ("ask", "RUN", *ASKED, "--checkpoint", "no TEXT", *RUNS),
    ("ask", "RUN", "--question", "Who?", "--context-file", "no TEXT", *RUNS),
    ("forward", "RUN", "--question", "Who?", "--context-file", "no TEXT", *RUNS),
    ("forward", "RUN", *ASKED, "--input", "TEXT=1", *RUNS),
    ("probe", "RUN", "--read", "TEXT", *RUNS),
    ("probe", "RUN", "--steps", "no TEXT", *RUNS),
    ("weights", "RUN", "--steps", "no TEXT", *RUNS),
    ("data-map", "RUN", "--questions", "no TEXT", *RUNS),
    ("data-map", "RUN", "--marked", "no TEXT", *RUNS),
    *(("influence", "RUN", f"--{name}", "no TEXT", *RUNS) for name in ("questions", "examples")),
    ("influence", "RUN", "--steps", "no TEXT", *RUNS),
    ("fork", "RUN", "--at", "1", "--similar-to", "no TEXT", *RUNS),
    ("graft", "RUN", "--from", "no TEXT", "--into", "last", *RUNS),
    ("graft", "RUN", "--from", "last", "--into", "no TEXT", *RUNS),
    *(("graft", "RUN", *GRAFTED, option, "TEXT", *RUNS) for option in ("--parts", "--metric")),
    ("graft", "RUN", *GRAFTED, "--kind", "no TEXT", *RUNS),
    ("patch", "RUN", "--steps", "no TEXT", *RUNS),
    ("patch", "RUN", "--what", "no TEXT", *RUNS),
    ("patch", "RUN", "--question", "no TEXT", *RUNS),
    ("patch", "RUN", "--pairs-file", "./no TEXT", *RUNS),
    ("replay", "RUN", "--record", "TEXT", *RUNS),
    ("fork", "RUN", "--at", "1", "TEXT=1", *RUNS),
    ("fork", "RUN", "--at", "1", "--relabel", "TEXT", *RUNS),
    ("what-if", "RUN", "--at", "1", "--to", "2", "--silence", "TEXT", "--from-start", *RUNS),
    ("ask", "RUN", "--input", "no TEXT=1", *RUNS),
    ("ask", "RUN", "--input", "no TEXT", *RUNS),
    ("attribute", "RUN", *ASKED, "--method", "TEXT", *RUNS),
    ("attribute", "RUN", "--watched", "--question", "no TEXT", *RUNS),
    ("efficacy", "plot", "--format", "TEXT", *RUNS),
    ("squad", "show", "TEXT"),
    ("squad", "show", "--question", "no TEXT", *BROWSED),
    ("squad", "show", "0", "--tokenizer", "./no TEXT", *BROWSED),
    ("squad", "search", "Lund", "--in", "TEXT", *BROWSED),
    ("score", "./no TEXT", "data.json"),
    ("score", "predictions.json", "./no TEXT"),
    ("score", "predictions.json", "data.json", "--encoding", "TEXT"),
    ("ledger", "sql", "TEXT", *RUNS),
    ("ledger", "export", "a.csv", "--table", "TEXT", *RUNS),
    ("ledger", "import", "./no TEXT", *RUNS),
    ("bundle", "TEXT", *RUNS),
    ("runs", "import", "./no TEXT", *RUNS),
    ("train", "study=../TEXT"),
    ("train", "TEXT=1"),
    ("train", "model=TEXT"),
    ("train", "TEXT"),
    ("explain", "image=no TEXT"),
    ("explain", "segmenter=TEXT"),
    ("squad", "TEXT"),
    ("no TEXT",),
]


@pytest.mark.parametrize("line", REFUSED, ids=" ".join)
def test_no_refusal_obeys_what_was_typed(line, verb, place, monkeypatch):
    monkeypatch.chdir(place)
    # What is remembered of a file that was read, SQLite's own files too, is no trace of the refusal.
    before = names_in(place)
    all_at_once = "".join(text for name, text in HOSTILE.items() if name not in ("long", "NUL"))
    for text in (all_at_once, HOSTILE["NUL"], HOSTILE["dash"], HOSTILE["shell"]):
        words = [word.replace("TEXT", text) for word in filled(line, place)]
        code, out, err = verb(*words)
        assert code == 2 and out == "", (words, err)
        assert err.splitlines()[-1].startswith("qa-research: "), (words, err)
        assert not OBEYED.search(err), (words, err)
    assert names_in(place) == before


def names_in(place: Path) -> set[str]:
    """Every file and folder there, but caches and what SQLite keeps beside a database."""
    found = {str(path.relative_to(place)) for path in place.rglob("*")}
    return {name for name in found if not name.startswith("cache/") and name[-4:] not in SQLITES}


def test_no_variable_of_the_environment_stands_in_a_path(trained):
    assert list((trained / "tensorboard").glob("events.*"))
    assert {path.name for path in trained.parent.parent.glob("[!.]*/")} == {STUDY}


def test_markup_in_an_id_is_shown(printed, trained):
    out = printed("watch", str(trained), "--question", HOSTILE["closing markup"])
    for name in ("closing markup", "markup", "mathtext"):
        assert HOSTILE[name] in out


def test_json_says_the_same_text(printed, trained):
    found = json.loads(printed("watch", str(trained), "--json"))
    assert {HOSTILE["C1"], HOSTILE["override"]} <= {row["id"] for row in found["questions"]}
    for text in HOSTILE.values():
        assert json.loads(json_text(text)) == text and not OBEYED.search(json_text(text))


def test_every_film_is_a_safe_page(printed, trained):
    recording = Recording(trained / "recording.zarr")
    films = with_attention(recording, range(len(HOSTILE)))
    for (_, film), text in zip(films, HOSTILE.values(), strict=True):
        link = FilmLink("q7.html", text)
        page = film_page(film, text, link, link)
        found = ParsedPage(page)
        assert [tag for tag, _ in found.tags].count("script") == 2
        assert not any(name.startswith("on") for _, names in found.tags for name in names)
        assert not OBEYED.search(page)


def test_films_of_all_ids_are_different_files_in_their_folder(printed, trained, tmp_path):
    names = {page_name(text) for text in HOSTILE.values()}
    assert len({name.casefold() for name in names}) == len(HOSTILE)
    for name in ("path", "slash", "underscore", "dash", "long", "NUL"):
        printed(
            "watch", str(trained), "--question", HOSTILE[name], "--out", str(tmp_path / "films")
        )
    films = {path.name for path in (tmp_path / "films").iterdir() if path.suffix == ".html"}
    assert len(films) == 7 and films - names == {INDEX}
    found = ParsedPage((tmp_path / "films" / INDEX).read_text(encoding="utf-8"))
    links = {names["href"] for tag, names in found.tags if tag == "a"}
    assert links == films - {INDEX} and "script" not in [tag for tag, _ in found.tags]
    assert [path.name for path in tmp_path.iterdir()] == ["films"]


def test_figures_show_formulas_as_text(printed, trained):
    printed("watch", str(trained), "--question", HOSTILE["mathtext"], "--figures")
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


def test_commands_to_paste_are_read_by_a_shell_as_they_were_meant(printed, trained):
    words = ["qa-research", *(text for text in HOSTILE.values() if "\0" not in text), str(trained)]
    line = command_line(*words)
    assert not OBEYED.search(line)
    said = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True)
    assert said.stdout.decode().split("\0")[:-1] == words
    out = printed("runs", "show", str(trained), *RUNS)
    assert f"next          {command_line('qa-research', 'evaluate', trained)}\n" in out


def test_texts_are_exact_where_programs_read_them(printed, trained, tmp_path):
    ids = set(HOSTILE.values())
    for index, text in enumerate(HOSTILE.values()):
        found = json.loads(printed("squad", "show", str(index), *BROWSED, "--json"))
        assert (found["id"], found["context"]) == (text, asked(text).context)
    printed("predict", str(trained), *RUNS, "--out", str(tmp_path))
    assert json.loads((tmp_path / "predictions.json").read_text()).keys() == ids
    printed("efficacy", "ask", str(trained), *RUNS, "--questions", str(len(ids)))
    query = "SELECT DISTINCT id, question FROM asked_questions"
    rows = json.loads(printed("ledger", "sql", query, *RUNS, "--json"))
    assert {row["id"]: row["question"] for row in rows} == {
        text: asked(text).question for text in ids
    }
    printed("ledger", "export", str(tmp_path / "a.csv"), *RUNS)
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        assert {row["id"] for row in csv.DictReader(file)} == ids


def test_pages_and_drawings_of_an_explanation_show_its_texts(printed, place):
    printed("explain", f"image={FOLDER}.png", *EXPLAINED, "paths.explanations=made")
    for path in (place / "made").rglob("*"):
        if path.suffix == ".html":
            page = path.read_text(encoding="utf-8")
            found = ParsedPage(page)
            assert not any(name.startswith("on") for _, names in found.tags for name in names)
            assert [tag for tag, _ in found.tags].count("title") == 1 and not OBEYED.search(page)
        elif path.suffix == ".json":
            labels = {row["label"] for row in json.loads(path.read_text())["classes"]}
            assert labels <= set(HOSTILE.values())


def test_a_pipe_gets_unbroken_lines(printed, trained):
    out = printed("watch", str(trained))
    (line,) = [line for line in out.splitlines() if "  ../../etc/passwd  " in line]
    assert "Who teaches ../../etc/passwd chess?" in line and "Ms Lund" in line
