"""Which recordings of stacks RUN means: those of a run, or one by its number."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from qa_research.ledger.runs import LEDGER, Ledger
from qa_research.ledger.stacks import (
    Recording,
    RecordingEntry,
    Sample,
    list_recordings,
    read_recording,
)
from qa_research.runs.directory import check_writable, read_record, run_name
from qa_research.runs.store import find, has_content, ledger_for
from qa_research.text import plural

HOW_TO_SAMPLE = "qa-research stacks -- python train.py ... samples a training"
# How many recordings an error names.
MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class Chosen:
    """Recordings of one training, each of another rank, in order of rank; or one of another program.

    `numbers`: theirs in the ledger. `directory`: of the run; None: they were chosen by number.
    """

    name: str
    numbers: tuple[int, ...]
    recordings: tuple[Recording, ...]
    directory: Path | None

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The samples of all ranks."""
        return tuple(sample for recording in self.recordings for sample in recording.samples)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What must be said wherever these samples are shown: of the old lab's, what they could not see."""
        return tuple(f"{self.name}: {r.caveat}" for r in self.recordings if r.caveat)

    @property
    def ranks(self) -> tuple[int, ...]:
        """The rank of each recording."""
        return tuple(recording.rank for recording in self.recordings)


def choose(run: str, runs: Path, number: int | None = None) -> Chosen:
    """All ranks of the latest recording of a run, or the recording that is called by its number.

    `run`: a run as `find` takes it, or the number of a recording in the ledger of `runs`. `number`: of all
    recordings of the run, this one.

    Raises:
        FileNotFoundError: there is no such run, or it has no recordings, or none with samples.
        ValueError: several runs match, or the number is not of this run.
    """
    ledger = runs.expanduser() / LEDGER
    if run.isascii() and run.isdecimal() and has_content(ledger):
        with Ledger(ledger, read_only=True) as opened:
            entry = next((e for e in list_recordings(opened) if e.number == int(run)), None)
            if entry is not None:
                if number not in (None, entry.number):
                    raise ValueError(
                        f"{run} is the recording {run} already; --recording {number} is another"
                    )
                return _read(opened, [entry], None)
    try:
        directory = find(run, runs)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}{_other_programs(ledger)}") from None
    return of_run(directory, runs, number)


def of_run(directory: Path, runs: Path | None = None, number: int | None = None) -> Chosen:
    """All ranks of the latest recording of the run in a directory, or the one of this number.

    `runs`: the folder of runs whose ledger is asked if the run lies in none.

    Raises:
        FileNotFoundError: it has no recordings, or none with samples.
        ValueError: the number is not of this run.
    """
    ledger = ledger_for(directory, runs or directory.parent.parent)
    name = run_name(directory)
    if has_content(ledger):
        with Ledger(ledger, read_only=True) as opened:
            entries = list_recordings(opened, _id_of(directory))
            if entries:
                return _read(opened, _wanted(entries, name, number), directory)
    raise FileNotFoundError(f"{name} has no recording of stacks; {HOW_TO_SAMPLE}")


def _id_of(directory: Path) -> str:
    """The id of a run, whatever its config says."""
    record = read_record(directory)
    if record is None:
        raise FileNotFoundError(f"{directory / 'run.json'} is missing")
    return str(record["id"])


def folder_for(chosen: Chosen, runs: Path, out: Path | None) -> Path:
    """Where the files of a view go: `out`, the run's directory, or a folder of the recording beside the runs.

    Raises:
        OSError: nothing can be written there.
    """
    own = chosen.directory or runs / f"stacks-{chosen.numbers[0]}"
    folder = (out or own).expanduser()
    check_writable(folder, "--out DIR")
    return folder


def latest(entries: Sequence[RecordingEntry]) -> list[RecordingEntry]:
    """Of the recordings of one run, those that were made together with the last one, in order of rank.

    They overlap in time: a run that was interrupted, or sampled twice, has earlier ones.
    """
    last = entries[-1]
    together = {e.rank: e for e in entries if e.number == last.number or _overlap(e, last)}
    return [together[rank] for rank in sorted(together)]


def _overlap(one: RecordingEntry, other: RecordingEntry) -> bool:
    if one.started is None or other.started is None:
        return False
    (begun, ended), (other_begun, other_ended) = _times(one), _times(other)
    return begun < other_ended and other_begun < ended


def _times(entry: RecordingEntry) -> tuple[float, float]:
    begun = datetime.fromisoformat(entry.started or "").timestamp()
    return begun + entry.from_s, begun + entry.to_s


def _wanted(
    entries: Sequence[RecordingEntry], name: str, number: int | None
) -> list[RecordingEntry]:
    if number is None:
        return latest(entries)
    found = [entry for entry in entries if entry.number == number]
    if not found:
        numbers = ", ".join(str(entry.number) for entry in entries[-MOST_NAMED:])
        raise ValueError(f"--recording {number} is none of {name}; it has {numbers}")
    return found


def _read(ledger: Ledger, entries: Iterable[RecordingEntry], directory: Path | None) -> Chosen:
    kept = list(entries)
    recordings = tuple(read_recording(ledger, entry.number) for entry in kept)
    if directory is not None:
        name = run_name(directory)
    else:
        name = f"{recordings[0].run} (recording {kept[0].number})"
    if not any(recording.samples for recording in recordings):
        raise FileNotFoundError(
            f"the recording {kept[0].number} of {name} has no samples: it ended too soon; "
            f"{HOW_TO_SAMPLE}"
        )
    return Chosen(name, tuple(entry.number for entry in kept), recordings, directory)


def _other_programs(ledger: Path) -> str:
    """What else could have been meant: recordings of programs that trained no run, by their numbers."""
    if not has_content(ledger):
        return ""
    with Ledger(ledger, read_only=True) as opened:
        others = [entry for entry in list_recordings(opened) if entry.run_id is None]
    if not others:
        return ""
    named = ", ".join(
        f"{entry.number} ({entry.run}{', imported' if entry.is_imported else ''})"
        for entry in others[-MOST_NAMED:]
    )
    more = f" and {plural(n, 'earlier one')}" if (n := len(others) - MOST_NAMED) > 0 else ""
    return f"; recordings of other programs are called by their numbers: {named}{more}"
