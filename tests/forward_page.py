"""The outputs in docs/forward_pass.md: `python -m tests.forward_page RUN` writes them anew, by running RUN.

RUN is the pretrained network of `make demo`. Each block that shows an output starts with the stage it shows.
"""

import contextlib
import io
import re
import sys

from qa_research.tasks.stages import STAGES
from tests.commands import ROOT

PAGE = ROOT / "docs" / "forward_pass.md"
QUESTION = "builtin-validation-00002"
PYTHON = r"(```python\n(.*?)```\n\n)```text\n.*?```"


def with_stages(page: str, shown: str) -> str:
    """The page with these stages, as `qa-research forward` prints them."""
    parts = re.split(r"\n\n(?=\d \w+   )", shown.strip())[1:]
    assert len(parts) == len(STAGES)
    for number, (name, part) in enumerate(zip(STAGES, parts, strict=True), start=1):
        block = f"```text\n{part}\n```"
        page, count = re.subn(
            rf"```text\n{number} {name}\b.*?```", lambda _, b=block: b, page, flags=re.S
        )
        assert count == 1, name
    return page


def with_printed(page: str) -> str:
    """The page with what its Python prints below each block of it that is followed by an output."""
    return re.sub(
        PYTHON, lambda found: f"{found[1]}```text\n{printed(found[2])}```", page, flags=re.S
    )


def printed(source: str) -> str:
    """What a block of Python prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(source, PAGE.name, "exec"), {})
    return out.getvalue()


def main(run: str, *more: str) -> None:
    from qa_research.cli.verbs import run as run_verb

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert run_verb(["forward", run, "--question", QUESTION, *more]) == 0
    page = with_printed(with_stages(PAGE.read_text(encoding="utf-8"), out.getvalue()))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
