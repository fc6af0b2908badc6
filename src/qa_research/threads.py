"""How many threads a verb computes with: those asked for, or as many as there are idle cores."""

import os
import time
from pathlib import Path

from qa_research.text import print_note

STAT = Path("/proc/stat")
SECONDS_WATCHED = 0.2


def use_threads(count: int | None, is_quick: bool = False) -> int:
    """Let torch and tokenizers compute with `count` threads; None: with one per idle core.

    That is said if it is fewer than usual, unless the work `is_quick`, as one answer is.

    Two threads on two busy cores wait for each other, and can be 13 times slower than one. A result may
    differ in its last digits between numbers of threads, so a training does not choose its own:
    `train.threads` is in its config.
    """
    import torch

    count = _chosen(count, torch.get_num_threads(), None if is_quick else "torch computes")
    torch.set_num_threads(count)
    use_threads_of_tokenizers(count)
    return count


def use_threads_of_tokenizers(count: int | None) -> int:
    """The same for a verb that only counts tokens, which needs no torch. To be called before it does."""
    count = _chosen(count, _cores(), "tokens are counted")
    os.environ["RAYON_NUM_THREADS"] = str(count)
    return count


def use_threads_of_recordings(count: int | None) -> int:
    """The same for a verb that only reads recordings, which needs no torch either, and says nothing."""
    import zarr

    count = _chosen(count, _cores(), None)
    zarr.config.set({"threading.max_workers": count, "async.concurrency": count})
    return count


def _chosen(count: int | None, usual: int, what: str | None) -> int:
    """`count`, or where it is None one thread per idle core; fewer than usual are said of `what`."""
    if count is not None:
        return count
    count = free_threads(usual)
    if what and count < usual:
        idle = "1 core is" if count == 1 else f"{count} cores are"
        print_note(
            f"only {idle} idle, so {what} with {count} of {usual} threads; --threads N (explain: "
            "threads=N) sets another number"
        )
    return count


def free_threads(most: int) -> int:
    """How many of `most` threads have a core to themselves right now; at least 1."""
    return max(1, min(most, round(idle_cores())))


def idle_cores() -> float:
    """How many of this process's cores are idle, watched for a fifth of a second.

    Where the system does not tell (macOS), the load of the last minute is subtracted from the cores.
    """
    cores = _cores()
    if not STAT.is_file():
        return cores - os.getloadavg()[0] if hasattr(os, "getloadavg") else float(cores)
    before = STAT.read_text()
    time.sleep(SECONDS_WATCHED)
    return cores * idle_share(before, STAT.read_text())


def idle_share(before: str, after: str) -> float:
    """The share of all cores' time between two readings of /proc/stat in which they were idle.

    Example: `cpu  10 0 0 50 0` and `cpu  40 0 0 60 0` are 30 units of work and 10 of idling: 0.25.

    Source: proc_stat(5); the fourth and fifth numbers are `idle` and `iowait`.
    """
    first, last = (
        [int(n) for n in text.split("\n", 1)[0].split()[1:9]] for text in (before, after)
    )
    spent = [b - a for a, b in zip(first, last, strict=True)]
    return sum(spent[3:5]) / sum(spent) if sum(spent) else 1.0


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
