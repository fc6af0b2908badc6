from qa_research.streams import stream, stream_seed


def test_a_stream_depends_on_its_seed_its_name_and_its_index():
    seeds = {stream_seed(1, "order", 0), stream_seed(2, "order", 0), stream_seed(1, "order", 1)}
    assert len(seeds | {stream_seed(1, "init", 0), stream_seed(1, "order")}) == 5


def test_a_stream_is_the_same_every_time():
    first, second = (stream(7, "order", 3).integers(0, 1 << 30, 5).tolist() for _ in range(2))
    assert first == second


def test_seeds_are_the_same_on_every_machine():
    # Written down once: a change here changes every run.
    assert stream_seed(1, "order", 0) == 15954459368668529676


def test_index_and_name_do_not_run_together():
    assert stream_seed(1, "a", 12) != stream_seed(1, "a", 1, 2)
