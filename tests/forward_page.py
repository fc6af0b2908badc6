"""The outputs and figures in docs/forward_pass.md; `python -m tests.forward_page [RUN [PAIRS]]` renews them.

RUN is the pretrained network of `make demo`, PAIRS a run of `+experiment=paraphrase`, and their outputs are
those of `qa-research forward`; each block that shows one starts with its stage, and those of PAIRS are in
the section on other tasks. Without runs only figures are drawn and Python blocks run.
"""

import contextlib
import io
import re
import sys
from pathlib import Path

import torch

from qa_research.figures.masks import MaskPanel, masks
from qa_research.figures.positions import positions
from qa_research.figures.saving import save_figure
from qa_research.model.attended import causal, local, padding, strided
from qa_research.model.positions import sinusoidal
from qa_research.tasks.stages import STAGES
from tests.commands import ROOT

PAGE = ROOT / "docs" / "forward_pass.md"
QUESTION = "builtin-validation-00002"
PAIR = "validation-1"
OTHERS = "## Other tasks\n"
PYTHON = r"(```python\n(.*?)```\n\n)```text\n.*?```"


def with_stages(page: str, shown: str) -> str:
    """A part of the page with the stages that it shows, as `qa-research forward` prints them."""
    parts = re.split(r"\n\n(?=\d \w+   )", shown.strip())[1:]
    assert len(parts) == len(STAGES)
    for number, (name, part) in enumerate(zip(STAGES, parts, strict=True), start=1):
        block = f"```text\n{part}\n```"
        page, count = re.subn(
            rf"```text\n{number} {name}\b.*?```", lambda _, b=block: b, page, flags=re.S
        )
        assert count <= 1, name
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


def mask_panels() -> list[MaskPanel]:
    """The masks that the page explains."""
    asked = ("who", "teaches", "B", "?", "[PAD]", "[PAD]")
    read, written = ("wer", "lehrt", "B", "?", "[PAD]"), ("[start]", "who", "teaches", "B")
    padded, cross = (
        padding(torch.tensor([length]), tokens)[0].expand(queries, tokens).numpy()
        for length, tokens, queries in ((4, 6, 6), (4, 5, 4))
    )
    near, apart = local(13, 3), strided(13, 4)
    return [
        MaskPanel("Padding", "nobody sees the padding", padded, asked, asked),
        MaskPanel("Causal", "nobody sees what comes later", causal(4).numpy(), written, written),
        MaskPanel("Cross-attention", "a translation sees its text", cross, written, read),
        MaskPanel("Local", "3 neighbours on either side", near.numpy()),
        MaskPanel("Strided", "every 4th token", apart.numpy()),
        MaskPanel("Both", "anywhere in two steps", (near | apart).numpy()),
    ]


def draw(folder: Path) -> None:
    """The figures of the page."""
    save_figure(masks(mask_panels()), folder / "masks.png")
    encoding = sinusoidal(100, 64).double().numpy()
    title = "Sinusoidal encodings of 100 positions, 64 units"
    save_figure(positions(encoding, title, (8, 24)), folder / "positions.png")


def forward(run: str, identity: str) -> str:
    """What `qa-research forward` prints of one of a run's own examples."""
    from qa_research.cli.verbs import run as run_verb

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert run_verb(["forward", run, "--question", identity]) == 0
    return out.getvalue()


def main(run: str | None = None, pairs: str | None = None) -> None:
    page = PAGE.read_text(encoding="utf-8")
    of_questions, heading, others = page.partition(OTHERS)
    if run is not None:
        of_questions = with_stages(of_questions, forward(run, QUESTION))
    if pairs is not None:
        others = with_stages(others, forward(pairs, PAIR))
    page = of_questions + heading + others
    PAGE.write_text(with_printed(page), encoding="utf-8")
    draw(PAGE.parent / "images")


if __name__ == "__main__":
    main(*sys.argv[1:])
