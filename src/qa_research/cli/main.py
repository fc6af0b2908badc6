"""Where `qa-research` starts. The verbs are in verbs.py."""

import sys


def main() -> None:
    """Run the verb of the command line and exit with its code."""
    try:
        # Importing takes some 0.1 s, in which Ctrl-C is a KeyboardInterrupt; later it is a `Stopped`.
        from qa_research.cli.verbs import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
