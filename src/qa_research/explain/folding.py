"""Batch normalisation folded into the convolution before it, which in eval mode is the same function."""

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

# Relative to the largest output; folding rounds otherwise, and does nothing else.
TOLERANCE = 1e-3


def fold_normalisations(network: nn.Module, example: Tensor) -> int:
    """Fold every BatchNorm2d that reads one convolution's output alone; how many were folded.

    Which one reads which is seen in a forward pass of `example`, so that no network's code needs to be known.
    The network, in eval mode and float32, is changed in place; weights and buffers are its own.

    Raises:
        RuntimeError: the folded network says something else.
    """
    pairs = _pairs(network, example)
    with torch.inference_mode():
        before = network(example)
    names = {module: name for name, module in network.named_modules()}
    for convolution, normalisation in pairs:
        _replace(network, names[convolution], fuse_conv_bn_eval(convolution, normalisation))
        _replace(network, names[normalisation], nn.Identity())
    with torch.inference_mode():
        after = network(example)
    # Not the other way round: a NaN must not pass.
    if not (before - after).abs().max() <= TOLERANCE * before.abs().max():
        raise RuntimeError("folding batch normalisations changed what the network says")
    return len(pairs)


def _pairs(network: nn.Module, example: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions and the normalisations that read them; each is run once."""
    # The tensors are held, so that no address is given twice; a version changes when one is written to.
    made: dict[int, tuple[Tensor, int, nn.Conv2d]] = {}
    calls: dict[nn.Module, int] = {}
    found: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def seen(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        calls[module] = calls.get(module, 0) + 1
        if isinstance(module, nn.Conv2d):
            made[id(output)] = (output, output._version, module)
        elif isinstance(module, nn.BatchNorm2d) and id(inputs[0]) in made:
            tensor, version, convolution = made[id(inputs[0])]
            if tensor._version == version:
                found.append((convolution, module))

    wanted = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    hooks = [module.register_forward_hook(seen) for module in wanted]
    try:
        # Tensors of inference mode have no version.
        with torch.no_grad():
            network(example)
    finally:
        for hook in hooks:
            hook.remove()
    used = [convolution for convolution, _ in found]
    return [
        (convolution, normalisation)
        for convolution, normalisation in found
        if used.count(convolution) == calls[convolution] == calls[normalisation] == 1
    ]


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)
