"""README.md and docs/: their Python runs, and every command, key, file and link that they name exists."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from qa_research.cli.verbs import app
from qa_research.launch.compose import conf_directory
from qa_research.launch.words import FLAGS
from tests.commands import MANUAL, README, ROOT, blocks, printed, text_of
from tests.option_table import PAGE, with_table
from tests.tiny_run import train
from tests.training.reading import directory_of
from tests.verbs import VERBS

# Every page that people read, with its own relative links.
PAGES = [README, *MANUAL, *sorted(ROOT.glob("experiments/*/*.md"))]
PAGES += [ROOT / name for name in ("BENCHMARKS.md", "CHANGELOG.md", "CONTRIBUTING.md")]
# Pages in which a command is the present one, with its present options.
COMMANDS_IN = [page for page in PAGES if page.name != "CHANGELOG.md"]
GROUPS = [folder.name for folder in conf_directory().iterdir() if folder.is_dir()]


def without_there(page: Path) -> str:
    """The text without the first cells of tables "there -> here": what is named there is not ours."""
    tables = re.split(
        r"(^\| there \|.*?\n\n)", text_of(page) + "\n\n", flags=re.DOTALL | re.MULTILINE
    )
    tables[1::2] = [re.sub(r"^\|[^|]*\|", "|", table, flags=re.MULTILINE) for table in tables[1::2]]
    return "".join(tables)


def command_lines(page: Path) -> Iterator[list[str]]:
    """Every command of a page as words."""
    for command in printed(page):
        yield command.words


def inline_commands(page: Path) -> Iterator[list[str]]:
    """Commands within sentences: `qa-research ledger sql`. They may be without their arguments."""
    prose = re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    for line in re.findall(r"`qa-research ([a-z][^`]*)`", prose):
        yield ["qa-research", *shlex.split(line.replace("...", "").replace("VERB", ""))]


def parse(words: list[str]) -> None:
    """Parse a command line as the program does, without running it.

    Raises:
        typer.BadParameter, ...: it has no such verb or option, or a value does not fit.
    """
    command: Any = typer.main.get_command(app)
    context = command.make_context("qa-research", list(words))
    while hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        if not rest:
            return
        name, command, rest = command.resolve_command(context, rest)
        if "--help" in rest:
            return
        context = command.make_context(name, rest, parent=context)


def test_the_python_blocks_run_as_they_are(tiny, tmp_path, monkeypatch, capsys):
    config = tiny("seed=1", "capture=default")
    train(config)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    ran: dict[str, tuple[str, dict[str, Any]]] = {}
    for page in (README, *MANUAL):
        for block in blocks(page, "python"):
            names: dict[str, Any] = {}
            source = block.replace("RUN", directory_of(config).name)
            exec(compile(source, page.name, "exec"), names)
            ran[page.stem] = capsys.readouterr().out, names
    assert ran["watch"][1]["looked"].dims == ("step", "question", "layer", "head")
    assert len(ran["ask-and-score"][0].splitlines()) == 5
    assert ran["explain"][0].startswith("[")


@pytest.mark.parametrize("page", COMMANDS_IN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_parses(page):
    for words in command_lines(page):
        if words[0] == "qa-research" and words[1:2] not in (["train"], ["explain"]):
            parse(words[1:])


@pytest.mark.parametrize("page", COMMANDS_IN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_verb_and_option_within_a_sentence_exists(page):
    for words in inline_commands(page):
        if words[1:2] not in (["train"], ["explain"]):
            try:
                parse(words[1:])
            except typer.BadParameter as error:
                if type(error).__name__ != "MissingParameter":
                    raise


def overrides_of(words: list[str]) -> list[str]:
    """The overrides of a training or an explanation; of a sweep, those of its first job."""
    if "--cfg" in words:
        words = words[: words.index("--cfg")]
    chosen = []
    # What the shell puts in place of $ is not known here.
    known = [word for word in words if not word.startswith("-") and "$" not in word]
    for override in OverridesParser.create().parse_overrides(known):
        # A launcher and a search are Hydra's own business; their files are looked up below.
        if override.get_key_element().lstrip("+").split("@")[0] in ("launcher", "search"):
            continue
        if override.key_or_group.startswith("hydra."):
            continue
        line = override.input_line
        if override.is_sweep_override():
            line = f"{override.get_key_element()}={next(override.sweep_string_iterator())}"
        chosen.append(line)
    return chosen


@pytest.mark.parametrize("page", COMMANDS_IN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_training_and_every_explanation_composes(page, composed):
    names = {"train": "train", "explain": "explain"}
    for words in command_lines(page):
        if words[0] == "qa-research" and (name := names.get(words[1])):
            compose(name, overrides_of(words[2:]))


def test_every_key_that_is_named_exists(composed):
    configs = [
        composed("data=squad_file", "data.train_path=a", "data.validation_path=b"),
        composed(
            "data=squad",
            "trainer=gpu",
            "capture=everything",
            "+capture/recorders@capture=unit_traces",
        ),
        composed("+experiment=sequence_universal"),
        composed("+experiment=sequence_linear", "data=sequence_files", "data.train_path=a"),
        composed("+experiment=paraphrase_mrpc"),
        *(composed(f"logger={name}") for name in ("wandb", "mlflow")),
        composed("+experiment=paraphrase"),
        *(composed(f"finetuning={name}") for name in ("top_k", "gradual", "discriminative")),
        *(composed(f"finetuning={name}") for name in ("lora", "bottleneck", "pals")),
        compose("explain", ["classifier=torchvision"]),
    ]
    keys = set()
    for page in (README, *MANUAL):
        keys |= set(re.findall(r"(?<![\w.])([a-z]+(?:\.[a-z_]+)+)=", without_there(page)))
    keys = {key for key in keys if not key.startswith("hydra.")}
    assert len(keys) > 50
    missing = object()
    for key in keys:
        found = [OmegaConf.select(config, key, default=missing) for config in configs]
        assert any(value is not missing for value in found), key


def test_every_option_of_a_group_that_is_named_exists():
    for page in (README, *MANUAL):
        named = re.findall(
            rf"(?<![\w.@/-])\+?({'|'.join(GROUPS)})=([a-z_0-9]+(?:,[a-z_0-9]+)*)", text_of(page)
        )
        for group, options in named:
            for option in options.split(","):
                assert (conf_directory() / group / f"{option}.yaml").is_file(), (
                    page,
                    group,
                    option,
                )


def test_every_option_of_a_group_is_in_the_manual():
    manual = "".join(map(text_of, MANUAL))
    for file in conf_directory().rglob("*.yaml"):
        group = file.parent.relative_to(conf_directory()).as_posix()
        # One option is no choice; parts are what options are made of.
        options = [f for f in file.parent.glob("*.yaml") if "parts" not in group.split("/")]
        if group != "." and len(options) > 1:
            assert re.search(rf"[`=,]{file.stem}[`,= ]", manual), f"{group}={file.stem}"


def test_every_verb_is_in_the_readme():
    verbs: Any = typer.main.get_command(app)
    listed = re.findall(r"^\| `([a-z-]+)` \|", text_of(README), re.MULTILINE)
    assert sorted(listed) == sorted(verbs.list_commands(typer.Context(verbs)))


def slugs(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page):
    prose = re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in slugs(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_of_the_repository_that_is_named_exists(page):
    rooms = "benchmarks|conf|docs|experiments|src|tests"
    for name in re.findall(rf"(?<![\w./])((?:{rooms})/[\w./-]+\.\w+)", text_of(page)):
        assert (ROOT / name).exists(), name
    for file, test in re.findall(r"(tests/[\w/]+\.py)::(\w+)", text_of(page)):
        assert f"def {test}(" in (ROOT / file).read_text(), (file, test)
    for place, word in re.findall(r"pytest (tests[\w/.]*) -k (\w+)", text_of(page)):
        files = [ROOT / place] if place.endswith(".py") else (ROOT / place).rglob("test_*.py")
        assert any(re.search(rf"def test_\w*{word}", file.read_text()) for file in files), word


def test_the_readme_is_short_and_leads_to_every_page():
    readme = text_of(README)
    assert len(readme.splitlines()) <= 150
    for page in MANUAL:
        assert f"(docs/{page.name}" in readme, page.name


@pytest.mark.parametrize("page", [README, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_the_tree_shows_every_package_and_that_of_developers_every_module(page):
    (tree,) = [block for block in blocks(page, "text") if "src/qa_research/" in block]
    shown = re.findall(r"^  (\w+(?:/|\.py))  ", tree, re.MULTILINE)
    source = [path for path in (ROOT / "src/qa_research").iterdir() if path.name[0] not in "._"]
    packages = [f"{path.name}/" for path in source if path.is_dir()]
    modules = [path.name for path in source if path.suffix == ".py" and path.stem != "__init__"]
    # The first five minutes need no list of modules.
    assert sorted(shown) == sorted(packages + (modules if page != README else []))


def test_every_make_target_that_is_named_exists_and_has_its_help():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony and targets == set(phony.group(1).split())
    assert {"setup", "demo", "test", "test-all", "check", "clean"} <= targets
    for page in PAGES:
        named = re.findall(r"`make ([a-z-]+)|^make ([a-z-]+)", text_of(page), re.MULTILINE)
        for name in filter(None, (name for pair in named for name in pair)):
            assert name in targets, (page, name)


def test_the_manual_has_every_option_of_every_verb():
    page = text_of(PAGE)
    assert page == with_table(page), "python -m tests.option_table writes the table"


@pytest.mark.parametrize("page", COMMANDS_IN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_option_that_is_named_exists(page):
    known = {
        name for command in VERBS.values() for option in command.params for name in option.opts
    }
    # --append is wandb's.
    known |= {"--help", "--debug", "--version", "--append", *FLAGS}
    for code in re.findall(r"`([^`\n]+)`", without_there(page)):
        # Commands of other programs have options of their own.
        if re.match(
            r"(--|ask|attribute|evaluate|efficacy|squad|watch|qa-research|predict|score) ?", code
        ):
            for name in re.findall(r"(?<!\S)--[a-z][a-z-]+", code):
                assert name in known, (name, code)
