"""An opened forward pass as pictures: where attention goes, how far the network looks, steps of tokens."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure
from torch import nn

from qa_research.figures.reach import attention_received, reach, steps_taken
from qa_research.figures.saving import save_figure
from qa_research.files import written_folder
from qa_research.forward.opened import ATTENTION, STEPS, Pass
from qa_research.model.encoder import Encoder
from qa_research.model.one_number import NumberNetwork
from qa_research.model.reach import gradient_reach


def pictures_of(found: Pass, network: nn.Module) -> dict[str, Figure]:
    """By name, as far as the network has it; `network`: that which `found` was opened of.

    `attention`: what each token receives, by layer. `steps`: how often each token was updated, if it halts.
    `reach`: how strongly each token changes the last state of the middle one, in a network of our own.

    Raises:
        ValueError: it has none of these.
    """
    watched, example = found.watched, found.watched.examples[0]
    figures: dict[str, Figure] = {}
    weights = {
        name.removesuffix(ATTENTION): value[0].numpy()
        for name, value in found.tensors.items()
        if name.endswith(ATTENTION)
    }
    if weights:
        figures["attention"] = attention_received(
            weights, example.tokens, example.marked, watched.marked_as
        )
    if STEPS in found.tensors:
        steps = found.tensors[STEPS][0].numpy()
        rows = [(example.tokens, steps, example.marked)]
        figures[STEPS] = steps_taken(rows, _most_steps(network, int(steps.max())))
    if isinstance(network, NumberNetwork) and network.by_position is not None:
        device = network.label_mean.device
        vectors = watched.inputs["vectors"].to(device)
        strengths = gradient_reach(
            network, network.by_position, vectors, watched.inputs["mask"].to(device)
        )
        figures["reach"] = reach({f"from token {len(strengths) // 2}": strengths})
    if not figures:
        raise ValueError(
            f"--figures draws attention, the reach of a network by position, and steps until it halts; "
            f"{type(network).__name__} has none of these"
        )
    return figures


def write_pictures(
    figures: Mapping[str, Figure], folder: Path, picture_format: str
) -> dict[str, Path]:
    """Save figures in a folder, all or none, and say where each is. `picture_format`: png, svg or pdf."""
    with written_folder(folder, replace=True) as new:
        for name, figure in figures.items():
            save_figure(figure, new / f"{name}.{picture_format}")
    return {name: folder / f"{name}.{picture_format}" for name in figures}


def _most_steps(network: nn.Module, taken: int) -> int:
    """The steps that its encoder allows."""
    encoder = getattr(network, "encoder", None)
    return encoder.settings.layers if isinstance(encoder, Encoder) else taken
