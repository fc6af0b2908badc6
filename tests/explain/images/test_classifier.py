import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import SqueezeNet1_1_Weights, get_model

from qa_research.explain.images.classifier import (
    EfficientNetLite0,
    TorchvisionClassifier,
    classifier_names,
)
from qa_research.explain.images.picture import read_picture
from qa_research.explain.images.weights import PACKAGED, fill, load_weights

SETTINGS = {"precision": "float32", "batch_size": 4, "fit": "squash"}


@pytest.fixture(scope="module")
def lite():
    return EfficientNetLite0(PACKAGED, **SETTINGS)


def predicted(classifier, source):
    prepared = classifier.prepared(classifier.seen(read_picture(source).pixels))
    return classifier.predict(prepared[None])[0]


@pytest.mark.parametrize(
    ("source", "label"), [("sample:coffee", "espresso"), ("sample:cat", "Egyptian cat")]
)
def test_the_packaged_classifier_knows_the_samples(lite, source, label):
    probabilities = predicted(lite, source)
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert lite.labels[probabilities.argmax()] == label
    assert probabilities.max() > 0.7


def test_its_input_is_scaled_as_by_its_authors(lite):
    pixels = np.array([[[0, 127, 255]]], dtype=np.uint8)
    assert lite.prepared(pixels)[:, 0, 0].numpy() == pytest.approx([-127 / 128, 0, 1], abs=1e-6)


def test_bfloat16_gives_nearly_the_same(lite):
    fast = EfficientNetLite0(PACKAGED, **(SETTINGS | {"precision": "bfloat16"}))
    assert fast.fingerprint == lite.fingerprint
    both = [predicted(one, "sample:coffee") for one in (lite, fast)]
    assert np.abs(both[0] - both[1]).max() < 0.05


@pytest.mark.slow
def test_inception_whole_path_from_a_random_state_dict(tmp_path):
    # Weights as torchvision publishes them: with the heads that only training uses.
    torch.manual_seed(0)
    network = get_model("inception_v3", weights=None, init_weights=False, aux_logits=True)
    torch.save(network.state_dict(), tmp_path / "inception.pth")
    found = TorchvisionClassifier(
        "inception_v3", str(tmp_path / "inception.pth"), labels=None, **SETTINGS
    )
    assert found.size == 299 and len(found.labels) == 1000
    picture = read_picture("sample:cat")
    seen = found.seen(picture.pixels)
    assert seen.shape == (299, 299, 3)
    ours = found.predict(found.prepared(seen)[None])[0]
    # The reference's input is (x - 0.5) * 2; torchvision's network makes it of ImageNet's scale.
    network.eval()
    x = torch.from_numpy((seen / 255 - 0.5) * 2).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        theirs = network(x).softmax(dim=1)[0].numpy()
    assert ours == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("shape", [(300, 451), (451, 300), (97, 131)])
def test_with_crop_the_input_is_torchvisions_own(tmp_path, shape):
    torch.save(get_model("squeezenet1_1", weights=None).state_dict(), tmp_path / "a.pth")
    found = TorchvisionClassifier(
        "squeezenet1_1", str(tmp_path / "a.pth"), None, **(SETTINGS | {"fit": "crop"})
    )
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    theirs = SqueezeNet1_1_Weights.DEFAULT.transforms()(Image.fromarray(pixels))
    ours = found.prepared(found.seen(pixels))
    assert ours.numpy() == pytest.approx(theirs.numpy(), abs=1e-5)


def test_custom_classes_and_missing_heads(tmp_path):
    network = get_model("mobilenet_v3_small", weights=None, num_classes=3)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "own.pt")
    (tmp_path / "names.json").write_text(json.dumps(["ant", "bee", "cow"]))
    found = TorchvisionClassifier(
        "mobilenet_v3_small", str(tmp_path / "own.pt"), str(tmp_path / "names.json"), **SETTINGS
    )
    assert predicted(found, "sample:cat").shape == (3,)
    with pytest.raises(ValueError, match=r"number of classes .*classifier\.labels=FILE"):
        TorchvisionClassifier("mobilenet_v3_small", str(tmp_path / "own.pt"), None, **SETTINGS)


@pytest.mark.parametrize(
    ("weights", "labels", "said"),
    [
        ("absent.pth", None, r"classifier\.weights=absent\.pth is not a file"),
        (
            "IMAGENET1K_V9",
            None,
            "is neither a file nor the name of weights of mobilenet_v3_small; did you mean",
        ),
        ("other.pth", None, "are for another network: they do not have"),
        ("text.pth", None, "is damaged or contains more than tensors"),
        ("whole.pth", None, "is damaged or contains more than tensors"),
        ("list.pth", None, "does not contain a state dict"),
        ("text.safetensors", None, "is damaged or contains more than tensors"),
        ("package:no_such_package/a.pth", None, "the package no_such_package is not installed"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, monkeypatch, weights, labels, said):
    monkeypatch.chdir(tmp_path)
    torch.save({"layer.weight": torch.zeros(3)}, "other.pth")
    torch.save(torch.nn.Linear(2, 2), "whole.pth")
    torch.save([1, 2], "list.pth")
    for name in ("text.pth", "text.safetensors"):
        (tmp_path / name).write_text("no tensors")
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        TorchvisionClassifier("mobilenet_v3_small", weights, labels, **SETTINGS)


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "module._orig_mod.net."])
@pytest.mark.parametrize("key", [None, "state_dict", "model_state_dict"])
def test_weights_of_a_wrapped_network_are_the_networks(tmp_path, prefix, key):
    network, path = torch.nn.Linear(2, 3), tmp_path / "w.ckpt"
    tensors = {prefix + name: tensor for name, tensor in network.state_dict().items()}
    torch.save(tensors if key is None else {key: tensors, "epoch": 3, "loss": 0.3}, path)
    found = torch.nn.Linear(2, 3)
    fill(found, load_weights(str(path)), "w.ckpt")
    assert torch.equal(found.weight, network.weight) and torch.equal(found.bias, network.bias)


def test_weights_of_another_network_say_how_they_are_named():
    tensors = {"net.weight": torch.zeros(3, 2), "metric.weight": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"do not have weight.*; their names are like net\.weight"):
        fill(torch.nn.Linear(2, 3), tensors, "w.ckpt")


def test_an_unknown_classifier_is_refused_and_the_nearest_suggested():
    assert "resnet18" in classifier_names() and "raft_large" not in classifier_names()
    with pytest.raises(ValueError, match="no classifier resnet19; did you mean resnet1"):
        TorchvisionClassifier("resnet19", "IMAGENET1K_V1", None, **SETTINGS)


def test_weights_that_cannot_be_fetched_name_a_classifier_that_works_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    # Nothing listens there, so that the request fails at once, with a network or without.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(
        ConnectionError,
        match=r"could not be fetched from https://.*classifier=efficientnet_lite0 works",
    ):
        TorchvisionClassifier("squeezenet1_1", "IMAGENET1K_V1", None, **SETTINGS)


def test_a_file_in_torchs_cache_that_would_run_code_is_refused(tmp_path, monkeypatch):
    import torchvision.models

    entry = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    kept = tmp_path / "hub" / "checkpoints" / entry.url.rsplit("/", 1)[-1]
    kept.parent.mkdir(parents=True)
    torch.save(torch.nn.Linear(2, 2), kept)
    with pytest.raises(ValueError, match="is damaged or contains more than tensors; delete it"):
        TorchvisionClassifier("squeezenet1_1", "DEFAULT", None, **SETTINGS)


def test_a_file_without_the_heads_of_training_is_the_same_classifier_each_time(tmp_path):
    network = get_model("googlenet", weights=None, init_weights=False, aux_logits=True)
    state = {k: v for k, v in network.state_dict().items() if not k.startswith("aux")}
    torch.save(state, tmp_path / "googlenet.pth")
    found = [
        TorchvisionClassifier("googlenet", str(tmp_path / "googlenet.pth"), None, **SETTINGS)
        for _ in range(2)
    ]
    assert found[0].fingerprint == found[1].fingerprint


def test_weights_in_torchs_cache_need_no_network(tmp_path, monkeypatch):
    import torchvision.models

    entry = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    kept = tmp_path / "hub" / "checkpoints" / entry.url.rsplit("/", 1)[-1]
    kept.parent.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(get_model("squeezenet1_1", weights=None).state_dict(), kept)
    found = TorchvisionClassifier("squeezenet1_1", "IMAGENET1K_V1", None, **SETTINGS)
    assert found.size == 224 and found.labels[0] == "tench"
    assert predicted(found, "sample:cat").shape == (1000,)
