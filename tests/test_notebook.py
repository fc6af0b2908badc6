"""A run in a notebook: on one screen, indexed by question id, asked and drawn; docs/notebook.ipynb."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from qa_research.notebook import Run
from tests.tiny_run import train
from tests.training.reading import rows_of

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"
CONTEXT = "Chess is taught by Ms Lund. Judo is on Monday."


@pytest.fixture(scope="module")
def folder(tmp_path_factory, cache):
    """A folder with a tiny run that watched four questions."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from qa_research.launch.compose import conf_directory
    from tests.tiny_run import TINY

    folder = tmp_path_factory.mktemp("notebook")
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_directory()), version_base="1.3"):
        words = [*TINY, "capture.every_n_steps=3", f"paths.runs={folder}/runs"]
        train(compose("train", [*words, f"paths.cache={cache}"]))
    return folder


@pytest.fixture
def run(folder) -> Run:
    return Run("nopretrain", folder / "runs")


def test_a_run_is_one_screen(run):
    shown = repr(run)
    lines = shown.splitlines()
    assert lines[0] == run.name and len(lines) <= 10
    assert "finished, 7 steps" in shown and "48 train, 16 validation" in shown
    assert "exact match" in shown and "4 questions until step 7: logits" in shown
    page = run._repr_html_()
    assert page.startswith("<pre>") and "data:image/png;base64," in page


def test_curves_are_those_of_metrics_csv(run):
    rows = rows_of(run.directory)
    assert run.metrics["step"].values.tolist() == sorted({int(row["step"]) for row in rows})
    shown = run.metrics["val/f1"].dropna("step")
    expected = [(int(row["step"]), float(row["val/f1"])) for row in rows if row["val/f1"]]
    assert list(zip(shown["step"].values.tolist(), shown.values.tolist(), strict=True)) == expected


def test_predictions_and_recordings_are_selected_by_the_id_of_a_question(run):
    one = run.predictions["id"].values[3]
    chosen = run.predictions.sel(id=one)
    assert 0 <= float(chosen["f1"]) <= 1 and isinstance(chosen["prediction"].item(), str)
    logits = run.recording.read("logits")
    for number, row in enumerate(run.recording.questions):
        by_id, by_number = logits.sel(id=row["id"]), logits.sel(question=number)
        assert np.array_equal(by_id["logit"], by_number["logit"], equal_nan=True)
    with pytest.raises(KeyError):
        logits.sel(id="nobody")
    assert "id" not in run.recording.read("head_weights").coords


def test_a_recording_is_one_screen(run):
    shown = repr(run.recording)
    assert len(shown.splitlines()) <= 24
    assert "logit [question row token]" in shown
    for row in run.recording.questions:
        assert str(row["id"]) in shown and row["question"] in shown


def test_it_is_asked_and_an_answer_is_one_screen(run):
    answer = run.ask("Who teaches chess?", CONTEXT, "3")
    lines = repr(answer).splitlines()
    assert lines[0].startswith(f"{answer.text}  (probability {answer.probability:.3f})")
    assert len(lines) == 1 + len(answer.candidates)
    page = answer._repr_html_()
    assert page.count("<tr>") == len(answer.candidates)
    assert run.answerer("3") is run.answerer("3")
    assert repr(run.answerer("3")).endswith(
        "step-000003.ckpt of step 3: 0.0 million parameters, on cpu"
    )


def test_markup_in_an_answer_is_text():
    from qa_research.tasks.answering.decode import Answer, Candidate

    text = "<b>\x1b[31m"
    answer = Answer("q", text, 1.0, 0, 3, 0.0, (Candidate(text, 0, 3, 0.0, 1.0),))
    assert "\x1b" not in repr(answer) and "<b>\x1b" not in answer._repr_html_()
    assert "&lt;b&gt;" in answer._repr_html_()
    nothing = Answer("q", "", 1.0, 0, 0, 0.0, (Candidate("", 0, 0, 0.0, 1.0),))
    assert repr(nothing).startswith("(no answer)")


def test_figures_show_themselves(run):
    question = run.recording.questions[1]["id"]
    for figure in (
        run.draw_scores(),
        run.draw_question(question),
        run.draw_logits(),
        run.draw_attention(question, layer=1, head=1),
    ):
        assert figure._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="was not watched"):
        run.draw_attention("nobody")


def test_a_run_that_has_not_begun_says_so(folder):
    with pytest.raises(FileNotFoundError, match="no run 'elsewhere'"):
        Run("elsewhere", folder / "runs")


@pytest.mark.slow
def test_the_notebook_of_the_manual_runs(folder, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient: pip install '.[dev]'")
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat: pip install '.[dev]'")
    pytest.importorskip("ipykernel", reason="needs ipykernel: pip install '.[dev]'")
    # The kernel is this Python, with this tree.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    shown = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(shown) == 10 and all(cell.outputs for cell in shown)
    pictures = [o for cell in shown for o in cell.outputs if "image/png" in o.get("data", {})]
    assert len(pictures) == 3
