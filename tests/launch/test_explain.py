import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

QUICK = (
    "segmenter=grid",
    "segmenter.rows=2",
    "segmenter.columns=2",
    "trust.random_orders=20",
    "trust.top=2",
)


@pytest.fixture
def explain(verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *overrides: verb("explain", *overrides)


def test_without_arguments_a_sample_is_explained_and_files_lie_where_it_says(explain, tmp_path):
    code, out, err = explain(*QUICK)
    assert code == 0, err
    assert "espresso 0.900" in out and "All 16 masks of 4 segments" in out
    (folder,) = (tmp_path / "explanations").iterdir()
    assert folder.name.startswith("coffee-efficientnetlite0-")
    for name in ("sheet.png", "explanation.html", "explanation.json"):
        assert (folder / name).stat().st_size > 1000
        assert str(folder.relative_to(tmp_path) / name) in out


def test_json_is_alone_on_stdout_and_the_file_is_the_same_again(explain, tmp_path):
    code, out, _ = explain(*QUICK, "--json")
    assert code == 0
    found = json.loads(out)
    (file,) = (tmp_path / "explanations").glob("*/explanation.json")
    before = file.read_bytes()
    assert json.loads(before) == found
    assert found["command"] == "qa-research explain " + " ".join(QUICK)
    assert explain(*QUICK, "lime.cache=false")[0] == 0
    again = json.loads(file.read_bytes())
    assert again.pop("command") != found.pop("command")
    again["config"]["lime"].pop("cache"), found["config"]["lime"].pop("cache")
    assert again == found


def test_a_sweep_explains_each_and_ends_in_a_table(explain, tmp_path):
    code, out, err = explain("-m", *QUICK, "lime.baseline=grey,black")
    assert code == 0, err
    assert len([p for p in (tmp_path / "explanations").iterdir() if p.name != "sweeps"]) == 2
    shared, table = out.rsplit("\n\n", 1)[-1].split("\n", 1)
    assert "segmenter=grid" in shared and shared.count("espresso") == 1
    header, first, second, *_ = table.splitlines()
    assert header.split()[:2] == ["baseline", "verdict"] and header.split()[-2:] == [
        "shared",
        "chance",
    ]
    assert first.split()[0] == "grey" and first.split()[-1] == "first"
    # The same four segments, of which each baseline names two.
    assert second.split()[0] == "black" and second.split()[-2] in ("0.00", "0.33", "1.00")
    assert "Not tried" not in out


def test_in_a_sweep_a_picture_that_cannot_be_read_stops_no_other(explain, tmp_path):
    code, out, err = explain("-m", *QUICK, "image=absent.png,sample")
    assert code == 2
    assert "image=absent.png does not exist" in err
    assert "espresso" in out


def test_blanking_and_its_summary(explain):
    code, out, err = explain(*QUICK, "counterfactual.top=1", "counterfactual.controls=3")
    assert code == 0, err
    assert "before" in out and "after" in out
    # Of four equal segments, each of the other three is as large as the one that is blanked.
    assert "Of all 3 other sets of segments with as much area" in " ".join(out.split())


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("lime.sample=50",), "there is no config key lime.sample; did you mean lime.samples?"),
        (("segmnter=grid",), "there is no config key segmnter; did you mean segmenter?"),
        (("segmenter=grd",), "there is no segmenter=grd; did you mean grid?"),
        (
            ("lime.baseline=gray",),
            "lime.baseline must be 'grey', 'black', 'mean', 'blur' or 'noise'",
        ),
        (("lime.samples=5",), "lime.samples must be at least 10, got 5"),
        (("trust.confidence=2",), "trust.confidence must be less than 1, got 2"),
        (("label=dgo",), "label=dgo is not a class of this classifier; did you mean"),
        (("label=cat",), "label=cat matches several classes: "),
        (("image=absent.png",), "image=absent.png does not exist"),
        (("+launcher=joblib", "-m"), "made one after the other"),
        (("segmenter.rows=1", "segmenter.columns=1"), "grid finds only one segment"),
        (("counterfactual.top=4",), "counterfactual.top=4, but there are 4 segments"),
        (("trust.top=4",), "trust.top=4, but there are 4 segments"),
        (("trust.random_orders=1",), "trust.random_orders=1 cannot show at trust.confidence=0.95"),
        (("counterfactual.until=flop",), "counterfactual.until must be 'flip'"),
        (
            ("classifier=torchvision", "classifier.name=resnet19"),
            "no classifier resnet19; did you mean",
        ),
    ],
)
def test_what_cannot_be_done_is_one_sentence(explain, overrides, said):
    code, out, err = explain(*QUICK, *overrides)
    assert code == 2
    assert said in err.splitlines()[-1]
    assert "Traceback" not in err and "espresso" not in out


def test_what_was_done_to_a_strange_picture_is_said(explain, tmp_path):
    ramp = np.tile(np.arange(100, dtype=np.uint16) * 600, (100, 1))
    Image.fromarray(ramp).save(tmp_path / "deep scan.png")
    code, out, err = explain(*QUICK, "image='deep scan.png'")
    assert code == 0, err
    assert "It has 16 bits: read as 8." in out and "It is greyscale" in out


@pytest.mark.parametrize("name", ["photo (1).jpg", "a=b.png", "héé 'quoted'.png", "[x].png"])
def test_a_file_of_any_name_is_found(explain, tmp_path, name):
    Image.new("RGB", (9, 9), "red").save(tmp_path / name)
    code, _, err = explain(*QUICK, f"image={name}", "label=no such class")
    assert code == 2
    assert "label=no such class is not a class" in err


def test_names_that_look_like_markup_are_shown_as_they_are(explain, tmp_path, monkeypatch):
    Image.new("RGB", (20, 20), "red").save(tmp_path / "[b]x[__b].png")
    code, out, err = explain(*QUICK, "image=[b]x[__b].png")
    assert code == 0, err
    assert "[b]x[__b] (20 x 20)" in out


@pytest.mark.slow
def test_the_sample_is_stable_over_seeds(explain):
    found = json.loads(
        explain(
            "trust.random_orders=0", "lime.max_samples=400", "classifier.batch_size=8", "--json"
        )[1]
    )
    assert found["verdict"]["word"] == "stable"
    assert found["stability"]["jaccard"] >= 0.8 > found["stability"]["chance_jaccard"] * 3
    assert {s["number"] for s in found["segments"][:3]} == {3, 4, 6}


@pytest.mark.slow
def test_a_picture_of_noise_is_unstable_and_its_sheet_says_so(explain, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    code, out, err = explain("image=noise.png", "lime.samples=100", "lime.max_samples=100")
    assert code == 0, err
    assert "the explanation is unstable" in out
    assert "The 5 seeds do not agree on the top segments" in " ".join(out.split())
    (page,) = (tmp_path / "explanations").glob("noise-*/explanation.html")
    assert "unstable" in page.read_text(encoding="utf-8")


def test_help_lists_every_key_and_is_quick_to_say(explain):
    code, out, _ = explain("--help")
    assert code == 0
    for key in ("kernel_width=0.25", "max_predictions", "segmenter=felzenszwalb, grid", "--json"):
        assert key in out


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_predicted_and_the_same_command_goes_on(tmp_path):
    command = [
        str(Path(sys.executable).with_name("qa-research")),
        "explain",
        "trust.random_orders=0",
    ]
    running = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    kept = tmp_path / "cache" / "predictions"
    assert running.stderr is not None
    while not (kept.is_dir() and len(list(kept.glob("*.npy"))) > 3):
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)[1]
    assert running.returncode == 130
    assert "Resume with: qa-research explain trust.random_orders=0" in said
    assert len(list(kept.glob("*.npy"))) > 3
    assert not list(kept.glob("*.tmp"))


def test_every_choice_composes_and_fits_its_constructor():
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from qa_research.explain.images.settings import ExplainSettings
    from qa_research.launch.compose import checked, conf_directory
    from tests.launch.test_compose import assert_fits

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_directory()), version_base="1.3"):
        for group in ("classifier", "segmenter"):
            for file in (conf_directory() / group).glob("*.yaml"):
                config = checked(compose("explain", [f"{group}={file.stem}"]), ExplainSettings)
                for section in (group, "lime", "trust", "counterfactual", "paths"):
                    assert_fits(section, config[section], set())
