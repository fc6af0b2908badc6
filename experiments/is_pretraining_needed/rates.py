"""Prints the learning rate of an arm, which commands.sh trains it with: python rates.py DATA ARM"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from experiments.is_pretraining_needed.arms import best_rate, rates_of
from qa_research.text import print_line

data, arm = sys.argv[1:]
print_line(best_rate(rates_of(Path("runs"), data)[arm]))
