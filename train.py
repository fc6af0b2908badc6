"""Train: `python train.py +experiment=nopretrain`. The same function as `qa-research train`."""

import sys
from pathlib import Path

# Python 3.11 as sys.hexversion has it. This file is read by older ones, too, which say so.
OLDEST = 0x030B0000


def how_to_install(what: str) -> str:
    """What is missing, and what to type: in a shell where the environment is not active, or not made yet."""
    activate = Path(sys.argv[0]).parent / ".venv" / "bin" / "activate"
    steps = (
        f"`source {activate}`" if activate.is_file() else f"`make setup`, then `source {activate}`"
    )
    return f"train.py: {what}: {steps}"


def main() -> int:
    """Train what the words after the script's name ask for; the exit code."""
    if sys.hexversion < OLDEST:
        version = ".".join(str(number) for number in sys.version_info[:2])
        what = f"Python 3.11 or newer is needed, and {sys.executable} is Python {version}"
        sys.stderr.write(how_to_install(what) + "\n")
        return 2
    try:
        from qa_research.sampled import answer_if_asked

        answer_if_asked()
        # Importing takes some 0.4 s, in which Ctrl-C is a KeyboardInterrupt; later it is a `Stopped`.
        from qa_research.launch.train import main as train

        return train()
    except ModuleNotFoundError as error:
        if error.name is None or "." in error.name:
            raise
        sys.stderr.write(
            how_to_install(f"{error.name} is not installed for {sys.executable}") + "\n"
        )
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
