"""Train: `python train.py +experiment=nopretrain`. The same function as `qa-research train`."""

import sys

if __name__ == "__main__":
    try:
        # Importing takes some 0.4 s, in which Ctrl-C is a KeyboardInterrupt; later it is a `Stopped`.
        from qa_research.launch.train import main

        code = main()
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
