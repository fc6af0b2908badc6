"""Checks of the loss and of single steps: what an untrained network says, and what a step must change."""

import math
from collections.abc import Callable

import torch

from qa_research.sanity.bench import PLANNED_STEPS, Bench, first_rows
from qa_research.sanity.check import Check, Found
from qa_research.tasks.wiring import Batch

# In nats. A fresh head of standard deviation 0.02 on 768 normalised units says scores of a spread of 0.55,
# which costs half its square, 0.15, more than even scores do; a loss of sums or a wrong sign is nats away.
TOLERANCE = {"spans": 0.5, "labels": 0.25}
# Of the variance of labels, for a network that says one number.
LEAST_OF_VARIANCE, MOST_OF_VARIANCE = 0.4, 2.5
# Mean square, in standard deviations of the labels: an untrained network is seldom further off.
MOST_SAID = 2.0
# AdamW does not see gradients much below its epsilon of 1e-8; clipping to 1 leaves 1e-3 of a large gradient.
LEAST_KEPT_BY_CLIPPING = 1e-5
# After how many steps the loss is looked at until it has fallen: Adam's first steps may lead too far.
LOOKS_AT_PEAK = (4, 10, 20, 30)


def first_loss(bench: Bench) -> Found:
    """The loss before training is that of a network that has no preference."""
    loss = bench.mean_loss(bench.tried)
    look_at = "the loss (its mean, its labels), and the weights that the head starts from"
    if bench.wiring.outputs == "number":
        labels = torch.cat([batch[bench.wiring.labels[0]] for batch in bench.tried]).double()
        variance = float(labels.var(correction=0))
        said = torch.cat([bench.scores(batch) for batch in bench.tried])
        # What the network says before it knows anything adds its square, in variances of the labels.
        own = min(float(said.square().mean()), MOST_SAID)
        low, high = LEAST_OF_VARIANCE * variance, MOST_OF_VARIANCE * variance * (1 + own)
        expected = f"{low:.3g} to {high:.3g}, near the labels' variance of {variance:.3g}"
        return Found.judged(low <= loss <= high, f"{loss:.3g}", expected, look_at)
    even = sum(math.log(_choices(batch, bench)) for batch in bench.tried) / len(bench.tried)
    tolerance = TOLERANCE[bench.wiring.outputs]
    # A head that was trained before may know something already.
    is_right = loss <= even + tolerance and (bench.has_trained_head or loss >= even - tolerance)
    what = "the number of tokens" if bench.wiring.outputs == "spans" else "the number of labels"
    least = "at most " if bench.has_trained_head else ""
    expected = f"{least}{even:.2f} +- {tolerance:g} nats, ln of {what}"
    return Found.judged(is_right, f"{loss:.2f} nats", expected, look_at)


def _choices(batch: Batch, bench: Bench) -> int:
    """Among how many the softmax of the loss chooses: all tokens of a padded window, or all labels."""
    return int(bench.scores(first_rows(batch, 1)).shape[-1])


def parameters_get_gradients(bench: Bench) -> Found:
    """Every parameter that is trained gets a gradient, and the output layer is trained."""
    with bench.as_at_first():
        missing = _without_gradient(bench)
        if missing:
            # What zeros are multiplied with at first, as LoRA's first matrix, gets one after a step.
            _own_training(bench, bench.few)(1)
            missing = _without_gradient(bench)
    named, head = list(bench.network.named_parameters()), bench.head
    frozen = [name for name, p in named if not p.requires_grad]
    is_frozen = any(name.rpartition(".")[0] == head for name in frozen)
    fault = f"; the output layer {head} is frozen" if is_frozen else ""
    first = f" (first: {missing[0]})" if missing else ""
    return Found.judged(
        not missing and not is_frozen,
        f"{len(missing)} of {len(bench.trained)} trained tensors get no gradient{first}; "
        f"{len(frozen)} are frozen{fault}",
        "0, and an output layer that is trained",
        "requires_grad, detach() and no_grad(), and parts of the network that the loss does not depend on",
    )


def _without_gradient(bench: Bench) -> list[str]:
    """The trained parameters that no batch gives a gradient; one batch is mostly enough to find none."""
    bench.network.train()
    missing: list[str] = []
    for batch in (bench.few, *bench.tried):
        bench.loss(batch).backward()  # type: ignore[no-untyped-call]
        missing = [n for n, p in bench.trained if p.grad is None or not bool(p.grad.any())]
        if not missing:
            break
    return missing


def step_changes_parameters(bench: Bench) -> Found:
    """The first step with the config's optimizer at a learning rate changes every trained parameter."""
    with bench.as_at_first():
        _own_training(bench, bench.few)(2)
        unchanged = [n for n, p in bench.trained if torch.equal(p, bench.initial[n])]
    trained = len(bench.trained)
    first = f" (first: {unchanged[0]})" if unchanged else ""
    return Found.judged(
        not unchanged,
        f"{len(unchanged)} of {trained} trained tensors are unchanged after two steps at a learning rate"
        f"{first}",
        "0",
        "model.lr and its schedule, and which parameters configure_optimizers() gives to the optimizer",
    )


def clipping_leaves_gradients(bench: Bench) -> Found:
    """Clipping leaves enough of a gradient for the optimizer to see."""
    with bench.as_at_first():
        optimizer, _ = bench.optimizer()
        bench.network.train()
        bench.loss(bench.few).backward()  # type: ignore[no-untyped-call]
        before = _gradient_norm(bench)
        if before == 0:
            return Found.skipped("there is no gradient to clip")
        bench.clip(optimizer)
        kept = _gradient_norm(bench) / before
    return Found.judged(
        kept >= LEAST_KEPT_BY_CLIPPING,
        f"{kept:.2g} of a gradient of norm {before:.3g} is left",
        f"at least {LEAST_KEPT_BY_CLIPPING:.0e}",
        "trainer.gradient_clip_val (null: none; 1.0 is usual)",
    )


def _gradient_norm(bench: Bench) -> float:
    gradients = [p.grad for p in bench.network.parameters() if p.grad is not None]
    return float(torch.linalg.vector_norm(torch.stack([g.norm() for g in gradients])))


def loss_falls(bench: Bench) -> Found:
    """Some steps of the config's optimizer on one batch lower its loss."""
    with bench.as_at_first():
        before = after = bench.mean_loss([bench.few])
        go_on, steps = _own_training(bench, bench.few), 0
        for look in LOOKS_AT_PEAK:
            go_on(look - steps)
            steps = look
            after = bench.mean_loss([bench.few])
            if after < before:
                break
    return Found.judged(
        after < before,
        f"{before:.4g} before, {after:.4g} after {steps} steps on one batch, at the learning rate's "
        "peak",
        "less after than before",
        "the sign of the loss, zero_grad(), model.lr (too high or too low) and trainer.gradient_clip_val",
    )


def _own_training(bench: Bench, batch: Batch) -> Callable[[int], None]:
    """What takes so many more steps of the config's own optimizer, from the end of its warm-up on."""
    optimizer, advance = bench.optimizer()
    _after_warmup(optimizer, advance)

    def go_on(count: int) -> None:
        bench.network.train()
        for _ in range(count):
            optimizer.zero_grad()
            bench.loss(batch).backward()  # type: ignore[no-untyped-call]
            bench.clip(optimizer)
            optimizer.step()

    return go_on


def _after_warmup(optimizer: torch.optim.Optimizer, advance: Callable[[], None]) -> None:
    """Advance the schedule while the learning rate rises."""
    # The schedule warns that no step was taken before, which is what is wanted here.
    optimizer.step()
    for _ in range(PLANNED_STEPS - 1):
        rates = [group["lr"] for group in optimizer.param_groups]
        advance()
        if all(new["lr"] <= old for new, old in zip(optimizer.param_groups, rates, strict=True)):
            break


CHECKS = (
    Check("first loss", first_loss, trains=True),
    Check("every parameter gets a gradient", parameters_get_gradients, trains=True),
    Check("clipping leaves the gradient", clipping_leaves_gradients, trains=True),
    Check("a step changes every parameter", step_changes_parameters, trains=True),
    Check("loss falls", loss_falls, trains=True),
)
