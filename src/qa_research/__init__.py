"""A laboratory in which a person watches BERT learn to answer questions."""

import time

STARTED = time.perf_counter()  # when this process first came here; startup is counted from it
