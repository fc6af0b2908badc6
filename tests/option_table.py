"""The table of all options in docs/configs.md; `python -m tests.option_table` makes it from the verbs."""

from collections.abc import Iterator
from pathlib import Path

from tests.verbs import VERBS

PAGE = Path(__file__).parents[1] / "docs" / "configs.md"
HEADING = "## Options of the verbs\n"
BEFORE_TABLE = "| option | of | meaning |\n|---|---|---|\n"


def rows() -> Iterator[str]:
    """A line for each option and meaning, with the verbs that have it."""
    found: dict[tuple[str, str], list[str]] = {}
    for verb, command in VERBS.items():
        for option in command.params:
            names = [name for name in option.opts if name.startswith("--")]
            if names and names != ["--help"]:
                written = names[0] if option.is_flag else f"{names[0]} {option.metavar}"
                meaning = option.help.replace("|", "\\|")
                found.setdefault((written.replace("|", "\\|"), meaning), []).append(verb)
    for (written, meaning), verbs in sorted(found.items()):
        shown = ", ".join(f"`{verb}`" for verb in verbs)
        yield f"| `{written}` | {shown} | {meaning} |\n"


def with_table(page: str) -> str:
    """The page with today's table."""
    before, _, rest = page.partition(BEFORE_TABLE)
    after = rest[rest.index("\n\n") + 1 :]
    return before + BEFORE_TABLE + "".join(rows()) + after


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
