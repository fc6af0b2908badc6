"""How large a report is and how long it takes: of a run that exists, and of a long one made with the
recorders' own writer.

    python benchmarks/report_size.py RUN [--steps 14754] [--every 50]

The long run is RUN with its metrics and its recording stretched to that many steps: the same questions and
networks, captured every so many steps. Prints seconds and bytes of HTML and PDF, and their ratios.
"""

import argparse
import csv
import shutil
import tempfile
import time
from pathlib import Path

from qa_research.capture.recording.arrays import Array, Coordinate
from qa_research.capture.recording.files import RECORDING
from qa_research.capture.recording.reader import Recording
from qa_research.capture.recording.writer import RecordingWriter
from qa_research.launch.compose import default_config
from qa_research.pages.pdf import document_pdf
from qa_research.report.story import page_of, read_document
from qa_research.runs.metrics import METRICS, read_metrics


def stretched(run: Path, folder: Path, steps: int, every: int) -> Path:
    """A copy of a run with so many steps, captured every so many."""
    copy = folder / run.parent.name / f"{run.name}-long"
    shutil.copytree(
        run, copy, ignore=shutil.ignore_patterns("checkpoints", "recording.zarr", "tensorboard")
    )
    _stretch_metrics(copy / METRICS, steps)
    recording = Recording(run / RECORDING)
    groups = {name: recording.read(name).load() for name in recording.recorders}
    coordinates = {
        name: {
            str(key): Coordinate(tuple(map(str, one.dims)), one.to_numpy())
            for key, one in data.coords.items()
            if "step" not in one.dims
        }
        for name, data in groups.items()
    }
    writer = RecordingWriter(copy / RECORDING, {"questions": recording.questions}, coordinates)
    for step in sorted({*range(0, steps + 1, every), steps}):
        share = step / steps
        captured = {}
        for name, data in groups.items():
            at = data.isel(step=round(share * (data.sizes["step"] - 1)))
            captured[name] = {
                str(key): Array(
                    tuple(map(str, one.dims)), one.to_numpy(), one.attrs.get("units", "1"), str(key)
                )
                for key, one in at.data_vars.items()
            }
        writer.append(step, captured)
    writer.flush()
    return copy


def _stretch_metrics(path: Path, steps: int) -> None:
    """The same table over more steps: each step's loss is that of the nearest one that was measured."""
    rows = read_metrics(path)
    names = list(rows[0])
    losses = [row for row in rows if row.get("train/loss")]
    validated = [row for row in rows if not row.get("train/loss")]
    last = int(losses[-1]["step"])
    made = [
        losses[round((step - 1) / (steps - 1) * (len(losses) - 1))] | {"step": str(step)}
        for step in range(1, steps + 1)
    ]
    made += [row | {"step": str(round(int(row["step"]) / last * steps))} for row in validated]
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows(sorted(made, key=lambda row: int(row["step"])))


def measured(run: Path) -> dict[str, float]:
    """Seconds and bytes of a run's page and PDF; reading counts to the page."""
    default = default_config()
    start = time.perf_counter()
    document, sources = read_document([run], default)
    page = page_of(document, sources)
    middle = time.perf_counter()
    paper = document_pdf(document).content
    end = time.perf_counter()
    return {
        "page, s": middle - start,
        "page, kB": len(page.encode()) / 1000,
        "PDF, s": end - middle,
        "PDF, kB": len(paper) / 1000,
    }


def main() -> None:
    """Measure both runs and print them beside each other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=14754)
    parser.add_argument("--every", type=int, default=50)
    words = parser.parse_args()
    measured(words.run)  # imports and fonts
    own = measured(words.run)
    with tempfile.TemporaryDirectory() as folder:
        long = measured(stretched(words.run, Path(folder), words.steps, words.every))
    print(f"{'':<12}{'the run':>12}{f'{words.steps} steps':>14}{'ratio':>8}")
    for name, value in own.items():
        print(f"{name:<12}{value:>12.1f}{long[name]:>14.1f}{long[name] / value:>8.2f}")


if __name__ == "__main__":
    main()
