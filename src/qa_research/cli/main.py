"""Where `qa-research` starts. The verbs are in verbs.py."""

import sys

from qa_research.garbage import start_quickly
from qa_research.sampled import answer_if_asked


def main() -> None:
    """Run the verb of the command line and exit with its code."""
    answer_if_asked()
    words = sys.argv[1:]
    start_quickly()
    try:
        # Importing takes some 0.1 s, in which Ctrl-C is a KeyboardInterrupt; later it is a `Stopped`.
        if words[:1] in (["train"], ["explain"]) and {"--help", "-h"} & {*words}:
            # Their help is composed by Hydra, whose import is long enough without that of all verbs.
            from qa_research.launch.help import help_of

            code = help_of(words[0], words[1:])
        else:
            from qa_research.cli.verbs import run

            code = run(words)
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
