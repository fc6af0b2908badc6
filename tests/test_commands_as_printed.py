"""The commands that README.md and docs/ print: each can be typed, and in a clean shell each works."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from tests.as_printed import ACTIVATE, clone, run
from tests.commands import MANUAL, README, ROOT, SKIPPED, Printed, printed
from tests.test_docs import parse

PAGES = [README, *MANUAL]
COMMANDS = [command for page in PAGES for command in printed(page)]
TARGETS = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
# Programs of others, whose options are theirs.
OTHERS = (
    "source",
    "tensorboard",
    "ls",
    "pip",
    "uv",
    "uvx",
    "python",
    "git",
    "cd",
    "wandb",
    "trackio",
    "mlflow",
)


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_every_command_is_of_a_program_that_is_there(command):
    words = command.words
    if words[0] == "qa-research":
        # Trainings and explanations are composed in tests/test_docs.py.
        if words[1:2] not in (["train"], ["explain"]):
            parse(words[1:])
    elif words[0] == "make":
        assert {word for word in words[1:] if "=" not in word} <= TARGETS
    else:
        assert words[0] in OTHERS or re.match(r"[A-Z]+=", words[0]), command


def test_what_cannot_be_typed_is_found():
    with pytest.raises(typer.TyperException):
        test_every_command_is_of_a_program_that_is_there(
            Printed(README, "qa-research ask --no RUN")
        )
    with pytest.raises(AssertionError):
        test_every_command_is_of_a_program_that_is_there(Printed(README, "make dmeo"))
    with pytest.raises(AssertionError):
        test_every_command_is_of_a_program_that_is_there(Printed(README, "qa-reserach ask RUN"))


def test_most_commands_are_run_and_every_reason_to_skip_is_used_or_of_the_outside_world():
    run_as_printed = [command for command in COMMANDS if not command.reason_to_skip]
    assert len(run_as_printed) > 0.8 * len(COMMANDS)
    words = ("hub", "GPU", "cluster", "weights", "terminal", "users", "index", "package", "CI")
    assert all(any(word in why for word in words) for why in SKIPPED.values())


def test_comments_end_a_command_and_quotes_keep_their_sign():
    (first, *_) = [c for c in COMMANDS if c.text.startswith("qa-research ask") and c.page != README]
    assert first.words[-1] == "Group K meets in the barn. Ms Lund teaches group B."
    assert all("#" not in command.text for command in COMMANDS)


def old_python() -> str | None:
    """A Python that is too old, where the machine has one."""
    found = [shutil.which(f"python3.{minor}") for minor in range(6, 11)]
    places = [Path(path) for path in found if path]
    works = (
        str(p) for p in places if subprocess.run([p, "-c", ""], capture_output=True).returncode == 0
    )
    return next(works, None)


def test_without_its_environment_the_launcher_says_what_is_missing(tmp_path):
    shutil.copy(ROOT / "train.py", tmp_path)
    bare = [sys.executable, "-I", "-S", "train.py"]
    done = subprocess.run(bare, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"train.py: qa_research is not installed for {sys.executable}: `make setup`, then "
        "`source .venv/bin/activate`\n"
    )
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/activate").touch()
    done = subprocess.run(bare, cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr.endswith(f"{sys.executable}: `source .venv/bin/activate`\n")


def test_an_old_python_reads_the_launcher_and_is_told_its_age(tmp_path):
    import ast

    source = (ROOT / "train.py").read_text()
    ast.parse(source, feature_version=(3, 6))
    assert source.index("hexversion < OLDEST") < source.index("import main")
    if python := old_python():
        done = subprocess.run(
            [python, ROOT / "train.py"], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        assert "Python 3.11 or newer is needed, and " in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".venv").exists(), reason="make setup makes the environment")
def test_in_a_clean_shell_the_first_line_of_the_readme_finds_the_tools(tmp_path):
    folder = clone(tmp_path)
    code, output = run("qa-research --version", folder, [])
    assert code == 127, output
    code, output = run("qa-research --version", folder, [ACTIVATE])
    assert code == 0 and output.startswith("qa_research ")
    code, output = run("python3 train.py --cfg job", folder, [])
    assert code == 2 and "train.py: " in output and output.count("\n") == 1
