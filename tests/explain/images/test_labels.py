import json

import pytest

from qa_research.explain.images.classifier import find_label, imagenet_labels, read_labels

LABELS = (
    "tench",
    "Egyptian cat",
    "tiger cat",
    "cat",
    "Bernese mountain dog",
    "crane",
    "crane bird",
)


def test_imagenet_has_a_thousand_names_each_once():
    labels = imagenet_labels()
    assert len(labels) == len(set(labels)) == 1000
    assert labels[0] == "tench" and labels[207] == "golden retriever"


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ("tench", 0),
        ("egyptian_CAT", 1),
        ("bernese", 4),
        (" Bernese-mountain dog", 4),
        ("cat", 3),
        ("crane", 5),
        ("2", 2),
        (2, 2),
    ],
)
def test_a_class_is_found_by_number_name_or_a_part_only_it_has(wanted, index):
    assert find_label(wanted, LABELS) == index


def test_an_unknown_class_is_refused_and_the_nearest_suggested():
    with pytest.raises(
        ValueError, match="label=tigr cat is not a class .*; did you mean tiger cat"
    ):
        find_label("tigr cat", LABELS)
    with pytest.raises(ValueError, match="it has 7, such as tench"):
        find_label("qqq", LABELS)
    with pytest.raises(ValueError, match="label=7 is not a class: they are numbered 0 to 6"):
        find_label(7, LABELS)
    with pytest.raises(ValueError, match="label= is not a class"):
        find_label("", LABELS)


def test_an_ambiguous_class_is_refused_and_all_named():
    with pytest.raises(
        ValueError, match=r"label=an matches several classes: Egyptian cat \(1\), .*crane"
    ):
        find_label("an", LABELS)


def test_custom_names_are_read_from_three_kinds_of_file(tmp_path):
    contents = {
        "a.txt": "dog\n\n  cat \n",
        "b.json": json.dumps(["dog", "cat"]),
        "c.json": json.dumps({"1": ["n02", "cat"], "0": ["n01", "dog"]}),
        "d.json": json.dumps({"0": "dog", "1": "cat"}),
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
        assert read_labels(tmp_path / name) == ("dog", "cat")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", "{", "does not contain class names"),
        ("b.json", '{"0": "dog", "2": "cat"}', "does not contain class names"),
        ("c.json", "3", "does not contain class names"),
        ("d.txt", "dog\n", "names 1 classes"),
        ("e.txt", "dog\ncat\ndog\n", "names the class dog more than once"),
    ],
)
def test_a_file_without_names_is_refused(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=said):
        read_labels(tmp_path / name)
