"""What Lightning starts beside the first process of `qa-research train trainer=ddp`."""

import sys

if __name__ == "__main__":
    # This file's folder, which Python puts first: its names are no top-level modules.
    sys.path.pop(0)
    from qa_research.run.launch import main

    sys.exit(main())
