import re
from pathlib import Path
from typing import Any

from hydra import compose
from omegaconf import OmegaConf

from qa_research.launch.compose import conf_directory
from qa_research.training.story import train
from tests.training.reading import directory_of

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_lines_run_as_they_stand(tiny, tmp_path, monkeypatch, capsys):
    config = tiny("seed=1", "capture=default")
    train(config)
    name = directory_of(config).name
    reading, explaining, asking = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(asking, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 5
    exec(compile(explaining, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("[")
    seen: dict[str, Any] = {}
    exec(compile(reading.replace("RUN", name), "README.md", "exec"), seen)
    assert seen["looked"].dims == ("step", "question", "layer", "head")


def test_every_key_that_is_named_exists(composed):
    config = composed("data=squad_file", "data.train_path=a", "data.validation_path=b")
    hub = composed("data=squad")
    explaining = compose("explain", ["classifier=torchvision"])
    keys = set(re.findall(r"(?<![\w.])([a-z]+\.[a-z_]+)=", README))
    assert len(keys) > 25
    missing = object()
    for key in keys:
        found = [OmegaConf.select(c, key, default=missing) for c in (config, hub, explaining)]
        assert any(value is not missing for value in found), key


def test_every_part_that_is_named_exists():
    for group, option in re.findall(
        r"(?<![\w.@])\+?(experiment|model|data|trainer|launcher|search|capture|classifier|segmenter)=([a-z_0-9]+)",
        README,
    ):
        assert (conf_directory() / group / f"{option}.yaml").is_file(), (group, option)


def test_every_make_target_is_listed_with_its_help():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))
    wanted = "setup demo test test-all check bench study report clean".split()
    assert targets == {"help", *wanted}
    assert set(re.findall(r"`?make ([a-z-]+)", README)) <= targets
