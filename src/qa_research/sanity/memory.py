"""Checks of what is learned by heart: ten examples by the network, and less by what can or sees less."""

import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from qa_research.sanity.bench import Bench, Memorised, blanked
from qa_research.sanity.check import Check, Found
from qa_research.tasks.wiring import Batch

# The seconds are those that all threads compute, which other work on the machine does not lengthen.
MOST_STEPS, MOST_SECONDS = 400, 15.0
# Of the loss before.
MEMORISED = 0.2
# From so many parameters on, steps are smaller.
LARGE = 5_000_000
# In nats, or of the labels' squared unit: what the network knows already is not learned.
KNOWN = 0.02
BLANK_IS_WORSE = 1.2


def ten_are_memorised(bench: Bench) -> Found:
    """Ten examples are learned by heart."""
    own = memorised(bench)
    if why := _unlearned(own):
        return why
    rows = len(bench.few[bench.wiring.read])
    return Found.judged(
        own.after <= MEMORISED * own.before,
        f"the loss of {rows} examples falls from {own.before:.4g} to {own.after:.4g} in {own.steps} steps of "
        "Adam",
        f"to at most {MEMORISED:g} of it",
        "labels that have nothing to do with their inputs, frozen parts, and a loss of something else",
    )


def blank_is_worse(bench: Bench) -> Found:
    """The same steps with nothing to read learn less."""
    own = memorised(bench)
    if why := _unlearned(own):
        return why
    blank = repeated(bench, blanked(bench.few, bench.wiring), own)
    return Found.judged(
        blank > BLANK_IS_WORSE * own.after,
        f"{blank:.4g} with blank inputs, {own.after:.4g} with their own, after {own.steps} steps",
        f"{BLANK_IS_WORSE:g} times as much and more",
        "whether the inputs reach the network, and whether a label can be told from the place of its row",
    )


def capacity_counts(bench: Bench) -> Found:
    """The same steps teach less to the narrowest network of its kind, or to the output layer alone."""
    own = memorised(bench)
    if why := _unlearned(own):
        return why
    narrower, head = bench.narrower(), bench.head
    if narrower is not None:
        less = repeated(narrower, bench.few, own)
        sizes = " ".join(f"model.{k}={v}" for k, v in bench.task.module.narrower.items())
        with_less = f"with {sizes}"
    elif parts := _parts(bench):
        less = repeated(bench, bench.few, own, parts)
        with_less = f"with {head} alone"
    else:
        return Found.skipped(f"all that is trained is {head}, and no setting makes it narrower")
    return Found.judged(
        less > own.after,
        f"{less:.4g} {with_less}, {own.after:.4g} as it is, after {own.steps} steps",
        "more with less to learn with",
        "whether the settings of model= reach the network, and whether its output layer reads its body",
    )


def _parts(bench: Bench) -> list[nn.Parameter]:
    """The parameters of the output layer, if others are trained, too."""
    prefix = f"{bench.head}."
    head = [p for name, p in bench.trained if name.startswith(prefix)]
    return head if len(head) < len(bench.trained) else []


def _unlearned(own: Memorised) -> Found | None:
    """Why nothing can be said of what was learned by heart, if so.

    When time ended before steps did, with nothing learned, a large network is no red one.
    """
    if own.before < KNOWN:
        return Found.skipped(f"the weights know the examples: their loss is {own.before:.2g}")
    if not own.in_time and own.after > MEMORISED * own.before:
        return Found.skipped(
            f"only {own.steps} steps of the network fit into {MOST_SECONDS:g} s of computing, too few to tell"
        )
    return None


def memorised(bench: Bench) -> Memorised:
    """What learning the bench's few examples by heart comes to; done once.

    It ends when little loss is left, or after MOST_STEPS or MOST_SECONDS.
    """
    if bench.memorised is None:
        trained = [p for p in bench.network.parameters() if p.requires_grad]
        rate = 2e-4 if sum(p.numel() for p in trained) > LARGE else 1e-3
        bench.memorised = _learned(bench, bench.few, trained, rate, MOST_STEPS, MEMORISED / 2)
    return bench.memorised


def repeated(
    bench: Bench, batch: Batch, own: Memorised, trained: Sequence[nn.Parameter] | None = None
) -> float:
    """The loss of a batch after as many steps as another took; `trained`: what is, if not all."""
    parameters = trained or [p for p in bench.network.parameters() if p.requires_grad]
    return _learned(bench, batch, parameters, own.rate, own.steps, 0.0).after


def _learned(
    bench: Bench,
    batch: Batch,
    trained: Sequence[nn.Parameter],
    rate: float,
    most_steps: int,
    enough: float,
) -> Memorised:
    """Train on one batch with Adam, until `enough` of the loss is left; the weights are as before.

    Not with the config's optimizer, whose learning rate is for a whole training: whether that moves the
    weights is another check. And without dropout: what is tested is whether it can, and not how fast.
    """
    with bench.as_at_first():
        before = after = bench.mean_loss([batch])
        optimizer = torch.optim.Adam(trained, lr=rate) if trained else None
        started, step = time.process_time(), 0
        while optimizer and step < most_steps and time.process_time() - started < MOST_SECONDS:
            bench.network.eval()
            loss: Tensor = bench.loss(batch)
            after = float(loss.detach())
            if step and after <= enough * before:
                break
            optimizer.zero_grad()
            loss.backward(inputs=list(trained))  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            step += 1
        else:
            after = bench.mean_loss([batch])
        in_time = step == most_steps or after <= enough * before
        return Memorised(before, after, step, rate, in_time)


CHECKS = (
    Check("ten examples learned by heart", ten_are_memorised, trains=True),
    Check("blank inputs are worse", blank_is_worse, trains=True),
    Check("capacity counts", capacity_counts, trains=True),
)
