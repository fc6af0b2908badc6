import pytest
import torch
from torch import nn
from torchvision.models import get_model

from qa_research.explain.images.classifier import fold_normalisations


class Network(nn.Module):
    """A convolution, something, and a normalisation whose statistics are not the initial ones."""

    def __init__(self, between=None, shared=False):
        super().__init__()
        torch.manual_seed(1)
        self.first = nn.Conv2d(3, 4, 3, bias=False)
        self.between = between or nn.Identity()
        self.norm = nn.BatchNorm2d(4)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)
        self.shared = shared

    def forward(self, x):
        read = self.first(x)
        y = self.norm(self.between(read))
        return (y + self.norm(self.first(x.flip(2)))) if self.shared else y


EXAMPLE = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_a_folded_network_predicts_the_same():
    network = Network().eval()
    with torch.no_grad():
        before = network(EXAMPLE)
        assert fold_normalisations(network, EXAMPLE) == 1
        assert isinstance(network.norm, nn.Identity)
        assert torch.allclose(network(EXAMPLE), before, atol=1e-6)
    assert not network.first._forward_hooks


@pytest.mark.parametrize("between", [nn.ReLU(), nn.ReLU(inplace=True)], ids=["relu", "in place"])
def test_a_module_in_between_prevents_folding(between):
    network = Network(between).eval()
    assert fold_normalisations(network, EXAMPLE) == 0
    assert isinstance(network.norm, nn.BatchNorm2d)


def test_what_runs_twice_is_left_alone():
    assert fold_normalisations(Network(shared=True).eval(), EXAMPLE) == 0


def test_a_network_whose_output_is_nan_does_not_pass():
    network = Network().eval()
    network.norm.running_var.fill_(float("nan"))
    with pytest.raises(RuntimeError, match="changed what the network predicts"):
        fold_normalisations(network, EXAMPLE)


@pytest.mark.parametrize(("name", "folded"), [("resnet18", 20), ("mobilenet_v3_small", 34)])
def test_networks_of_torchvision_are_folded(name, folded):
    network = get_model(name, weights=None).eval()
    example = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        before = network(example)
    assert fold_normalisations(network, example) == folded
    with torch.inference_mode():
        assert torch.allclose(network(example), before, rtol=1e-3, atol=1e-5)
