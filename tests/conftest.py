"""Tiny real objects that tests share, and jaxtyping's checks of tensor shapes."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest
from jaxtyping import install_import_hook

install_import_hook(
    ["qa_research.tasks.answering", "qa_research.tasks.sequences", "qa_research.model.encoder"],
    "beartype.beartype",
)
# As every command has it (console.start_logging): libraries read it when they are imported.
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

from omegaconf import DictConfig  # noqa: E402

from qa_research.tasks.answering.question import Gold, Question, texts_of  # noqa: E402
from tests.tiny_run import TINY, Compose  # noqa: E402

# The same examples in every run; `make fuzz` explores others, and prints how to repeat what fails.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.register_profile("fuzz", max_examples=1000, deadline=None, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# What a script starts in the background ignores Ctrl-C, under nohup also SIGHUP, and a training respects
# that; tests send both.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Where tests/training/test_exact_resume.py stops trainings; STOPPING_SEED=N draws other places.
STOPPING_SEED = int(os.environ.get("STOPPING_SEED", "20261122"))
CONTEXT = "Ms Lund teaches chess. Judo is on Monday. The fee for pottery is 12 crowns."


def make_question(
    number: int, question: str, answer: str | None, context: str = CONTEXT
) -> Question:
    """A question about `context`; answer None makes it unanswerable."""
    golds = () if answer is None else (Gold(answer, context.index(answer)),)
    return Question(f"q{number}", "Notice", context, question, golds, "lookup")


def pytest_terminal_summary(terminalreporter) -> None:
    """Print what chance was used."""
    terminalreporter.write_line(
        f"stopping points drawn from seed {STOPPING_SEED} (STOPPING_SEED=N)"
    )


@pytest.fixture(scope="session")
def questions() -> list[Question]:
    """Eight answerable questions about two contexts."""
    other = (
        "Dr Obi leads judo. Chess is on Friday. Pay 30 crowns for rowing. Bring a rope to rowing."
    )
    asked = [
        ("Who teaches chess?", "Ms Lund", CONTEXT),
        ("On which day is judo?", "Monday", CONTEXT),
        ("What is the fee for pottery?", "12 crowns", CONTEXT),
        ("Which activity does Ms Lund teach?", "chess", CONTEXT),
        ("Who leads judo?", "Dr Obi", other),
        ("On which day is chess?", "Friday", other),
        ("What do I pay for rowing?", "30 crowns", other),
        ("What should I bring to rowing?", "a rope", other),
    ]
    return [make_question(i, q, a, c) for i, (q, a, c) in enumerate(asked)]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests of a session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def tokenizer(questions: list[Question], cache: Path):
    """A WordPiece trained on the eight questions."""
    from qa_research.model.tokenizer import trained_wordpiece

    return trained_wordpiece(texts_of(questions), 400, cache)


@pytest.fixture
def verb(monkeypatch, capsys):
    """Run a verb in this process: (exit code, stdout, stderr)."""
    from qa_research.cli import main as cli

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["qa-research", *arguments])
        code = 0
        try:
            cli.main()
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


@contextmanager
def full_disk(room_bytes: int) -> Iterator[None]:
    """Every file that this process writes can have so many bytes, and no more: as on a disk that is full."""
    resource = pytest.importorskip("resource", reason="needs limits of processes")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def composed() -> Iterator[Compose]:
    """Compose conf/train.yaml with overrides."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from qa_research.launch.compose import conf_directory

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_directory()), version_base="1.3"):
        yield lambda *overrides: compose("train", list(overrides))


@pytest.fixture
def tiny(composed: Compose, tmp_path, cache) -> Compose:
    """A config of a tiny run on the built-in questions, under a directory of the test's own."""

    def make(*overrides: str) -> DictConfig:
        looks = any(word.startswith("capture=") for word in overrides)
        tracks = any(word.startswith("logger") for word in overrides)
        return composed(
            *TINY,
            *(() if looks else ("capture=none",)),
            # The graph costs a quarter of a second each time.
            *(() if tracks else ("logger.graph=false",)),
            f"paths.runs={tmp_path / 'runs'}",
            f"paths.cache={cache}",
            *overrides,
        )

    return make
