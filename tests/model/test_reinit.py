"""Given weights whose top layers are drawn anew: exactly these change, and all else stays as it is."""

import pytest
import torch
from transformers import AutoModel, AutoModelForQuestionAnswering

from qa_research.model.bert import Architecture, build
from qa_research.model.layers import layers_of
from tests.model.test_layers import CONFIGS

AS_WEIGHTS = Architecture(None, None, None, None, None)


@pytest.fixture(params=CONFIGS)
def weights(request, tmp_path):
    """A directory with a network of every known type, 3 layers deep, without an output layer."""
    torch.manual_seed(0)
    network = AutoModel.from_config(CONFIGS[request.param])
    with torch.no_grad():
        for parameter in network.parameters():
            # Biases and normalisation weights of a fresh network are all equal: no change would show.
            parameter.add_(torch.randn_like(parameter))
    network.save_pretrained(tmp_path / "given")
    return str(tmp_path / "given")


def _built(weights, top, seed=1):
    return build(weights, AS_WEIGHTS, 0.0, 60, seed, reinit_top=top)


@pytest.mark.parametrize(("top", "kept"), [(1, 3), (2, 2), (3, 1), ("all", 1)])
def test_the_top_layers_are_drawn_anew_and_the_rest_is_as_loaded(weights, top, kept):
    loaded, found = (_built(weights, which).network for which in (None, top))
    parts = zip(layers_of(loaded), layers_of(found), strict=True)
    for place, (before, after) in enumerate(parts):
        for name, parameter in before.parameters.items():
            is_same = torch.equal(parameter, after.parameters[name])
            # What the weights lack is drawn before, and so is the same in all arms of a study.
            lacking = name.startswith(("qa_outputs", "classifier", "head"))
            assert is_same == (place < kept or lacking), name


def test_a_layer_drawn_anew_is_spread_as_hugging_face_draws_one(weights):
    layer = layers_of(_built(weights, 1).network)[3].parameters
    for name, parameter in layer.items():
        if parameter.ndim > 1:
            assert parameter.std() < 0.05, name
        else:
            assert parameter.unique().tolist() in ([0.0], [1.0]), name


def test_what_is_drawn_depends_on_the_seed_alone(weights):
    first, again, other = (_built(weights, 2, seed).network.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_an_output_layer_of_the_weights_is_drawn_anew_too(tmp_path):
    AutoModelForQuestionAnswering.from_config(CONFIGS["bert"]).save_pretrained(tmp_path / "whole")
    loaded, found = (_built(str(tmp_path / "whole"), top).network for top in (None, 1))
    assert not torch.equal(loaded.qa_outputs.weight, found.qa_outputs.weight)


def test_it_says_which_tensors_are_loaded_and_which_are_new(tmp_path):
    AutoModel.from_config(CONFIGS["bert"]).save_pretrained(tmp_path / "given")
    report = _built(str(tmp_path / "given"), 2).report
    # Of 3 layers of 16 tensors, 5 of the embeddings and 2 of the head.
    assert report[0].startswith("Loaded: 21 of 55 tensors from ")
    assert report[1] == "Newly initialised: qa_outputs (bias, weight)."
    assert report[-1] == (
        "Newly initialised by model.reinit_top=2: the layers 1 to 2 of 3, 32 tensors."
    )


def test_more_layers_than_there_are_is_refused(weights):
    with pytest.raises(ValueError, match=r"^model.reinit_top=4 is more than the 3 layers of model"):
        _built(weights, 4)
