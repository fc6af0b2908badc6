"""The verb that makes one file of a run, to give it away: bundle. `runs import` reads it back."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qa_research.cli.options import DEFAULT_RUNS, OUT_HELP, AsJson, Run, Runs
from qa_research.text import command_line, plural, print_json, print_line

if TYPE_CHECKING:
    from qa_research.runs.bundle import Bundled
    from qa_research.runs.importing import Imported


def bundle(
    run: Run,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help=OUT_HELP, show_default="the current folder"),
    ] = None,
    with_recording: Annotated[
        bool, typer.Option("--with-recording", help="include recording.zarr, which may be large")
    ] = False,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Pack a run into one zip file, for sharing.

    Report, config, scores, predictions, versions, hardware and sampled stacks; no weights, and no path, user
    or host of this machine. runs import reads it back.
    """
    from qa_research.runs.bundle import write_bundle
    from qa_research.runs.directory import check_writable
    from qa_research.runs.store import find, ledger_for

    directory = find(run, runs)
    folder = Path() if out is None else out.expanduser()
    check_writable(folder, "--out DIR")
    path = folder / f"{Path(directory).resolve().name}.zip"
    found = write_bundle(directory, path, ledger_for(directory, runs), with_recording)
    if as_json:
        print_json(_as_json(found))
        return
    _show(found)


def _show(found: "Bundled") -> None:
    from qa_research.console import readable_size

    files = found.manifest.files
    print_line(f"Bundle   {found.path} ({readable_size(found.bytes)}, {len(files)} files)")
    print_line(f"sha256   {found.sha256}")
    for part in found.manifest.left_out:
        print_line(f"without  {part.what} ({readable_size(part.bytes)}): {part.why}")
    for note in found.notes:
        print_line(f"note     {note}")
    print_line(f"Read it  {command_line('qa-research', 'runs', 'import', found.path)}")


def _as_json(found: "Bundled") -> dict[str, Any]:
    return {
        "bundle": str(found.path),
        "sha256": found.sha256,
        "bytes": found.bytes,
        "manifest": asdict(found.manifest),
        "notes": found.notes,
    }


def import_run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="what qa-research bundle wrote")],
    study: Annotated[
        str | None,
        typer.Option(
            "--study", metavar="NAME", help="the study to put it in", show_default="its own"
        ),
    ] = None,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Import a run from a bundle.

    Every file is compared with its checksum before anything is put in place; a bundle that was altered is
    refused. The run is listed, compared and reported as any other, but has no weights to be asked.
    """
    from qa_research.console import start_logging
    from qa_research.runs.importing import import_bundle

    start_logging()
    found = import_bundle(file.expanduser(), runs, study)
    if as_json:
        print_json(
            {
                "directory": str(found.directory),
                "is_new": found.is_new,
                "files": found.files,
                "bytes": found.bytes,
                "searches": found.asked,
                "recordings": found.sampled,
                "manifest": asdict(found.manifest),
            }
        )
        return
    _show_imported(found, file)


def _show_imported(found: "Imported", file: Path) -> None:
    from qa_research.console import readable_size
    from qa_research.runs.directory import run_name

    name = run_name(found.directory)
    if found.is_new:
        size = readable_size(found.bytes)
        print_line(f"imported {name} from {file} ({found.files} files, {size}; no weights)")
    else:
        print_line(f"{name} is the run of {file} already; nothing of it was changed")
    if found.asked:
        searches = "search" if found.asked == 1 else "searches"
        print_line(f"what it was asked is in the ledger: {found.asked} {searches}")
    if found.sampled:
        recordings = plural(found.sampled, "recording")
        print_line(f"its sampled stacks are in the ledger: {recordings}")
    print_line(f"See it   {command_line('qa-research', 'runs', 'show', found.directory)}")
