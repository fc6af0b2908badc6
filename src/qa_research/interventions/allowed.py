"""Whether there is time for what a verb would compute, as `--max-minutes` allows it."""

import logging
import math

log = logging.getLogger(__name__)
# What takes less is not announced.
SECONDS_TOLD = 2.0


def check_allowed(what: str, seconds: float, max_minutes: float, fit: str | None) -> bool:
    """Tell what something will take, if that is long; whether it is.

    `what`: such as `asking 300 questions 5 times`. `fit`: an option that asks for as much as may be done;
    None: nothing may.

    Raises:
        ValueError: it is more than it may take.
    """
    if seconds > 60 * max_minutes:
        way = f"{fit} draws as many as fit, " if fit else ""
        raise ValueError(
            f"{what} would take about {_duration(seconds)}, and --max-minutes allows {max_minutes:g}; "
            f"{way}--max-minutes {math.ceil(seconds / 60)} allows all"
        )
    is_long = seconds > SECONDS_TOLD
    if is_long:
        log.info("%s%s takes about %s", what[0].upper(), what[1:], _duration(seconds))
    return is_long


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"
