"""Train: `python train.py +experiment=nopretrain`. The same function as `qa-research train`."""

import sys

from qa_research.launch.train import main

if __name__ == "__main__":
    sys.exit(main())
