import random

import pytest

from qa_research.model.tokenizer import load_tokenizer
from qa_research.model.weights import SUMS, check_files, locate, write_sums


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "is not valid JSON: .* at line 1"), ('{"a":' * 100_000, "nested too deeply")],
)
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_json_that_cannot_be_read_is_named_before_transformers_sees_it(
    name, content, said, tmp_path
):
    (tmp_path / "config.json").write_text("{}")
    assert locate(str(tmp_path), "model.weights") == str(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=f"{name} is .*{said.removeprefix('is ')}"):
        locate(str(tmp_path), "model.weights")
    with pytest.raises(ValueError, match=name):
        check_files(tmp_path)


@pytest.mark.parametrize("has_config", [True, False])
def test_an_adapter_is_not_taken_for_the_weights_of_its_base(has_config, tmp_path):
    # With peft installed, transformers would fetch the base that such a file names.
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base"}')
    if has_config:
        (tmp_path / "config.json").write_text("{}")
    with pytest.raises(
        ValueError, match=r"^model\.weights=\S+ is an adapter of org/base, not a whole"
    ):
        locate(str(tmp_path), "model.weights")


@pytest.fixture
def directory(tmp_path):
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_text('{"vocabulary": ["[PAD]", "chess", "judo"]}')
    (tmp_path / "model.safetensors").write_bytes(bytes(range(256)))
    write_sums(tmp_path)
    return tmp_path


def test_no_flipped_bit_of_a_directory_with_checksums_is_silent(directory):
    check_files(directory)
    assert locate(str(directory), "model.weights") == str(directory)
    draw = random.Random(4)
    for path in sorted(directory.iterdir()):
        whole = path.read_bytes()
        for _ in range(50):
            changed = bytearray(whole)
            changed[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
            path.write_bytes(changed)
            with pytest.raises(ValueError, match=rf"{path.name}|{SUMS}"):
                check_files(directory)
        path.write_bytes(whole)
    check_files(directory)


def test_a_line_of_checksums_ends_in_a_line_feed_and_nothing_else(directory):
    sums = directory / SUMS
    for number in range(2):
        content = bytearray(sums.read_bytes())
        content[[i for i, byte in enumerate(content) if byte == 0x0A][number]] ^= 1
        # 0x0A becomes 0x0B, which ends a line for str.splitlines.
        sums.write_bytes(content)
        with pytest.raises(ValueError, match=f"{SUMS} is damaged"):
            check_files(directory)
        content[content.index(0x0B)] ^= 1
        sums.write_bytes(content)


def test_checksums_are_those_of_sha256sum_and_a_change_of_ones_own_is_possible(directory):
    lines = (directory / SUMS).read_text().splitlines()
    assert [line[64:] for line in lines] == [
        *("  config.json", "  model.safetensors", "  tokenizer.json"),
    ]
    (directory / "tokenizer.json").write_text("{}")
    with pytest.raises(
        ValueError, match=rf"tokenizer.json is damaged or was edited.*remove {SUMS}"
    ):
        check_files(directory)
    (directory / SUMS).unlink()
    check_files(directory)


@pytest.mark.parametrize("line", ["", "abc", f"{'0' * 64}  ../secret", f"{'0' * 64}  /dev/zero"])
def test_checksums_of_what_is_elsewhere_are_refused(directory, line):
    (directory / SUMS).write_text(f"{line}\n")
    with pytest.raises(ValueError, match="is damaged"):
        check_files(directory)


def test_a_file_that_is_missing_is_named(directory):
    (directory / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"model.safetensors is missing, which .* names"):
        check_files(directory)


def test_a_damaged_tokenizer_of_somebody_elses_is_one_sentence(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert load_tokenizer(str(tmp_path), "model.tokenizer").get_vocab() == tokenizer.get_vocab()
    path = tmp_path / "tokenizer.json"
    whole = path.read_text()
    for damaged, sentence in (
        ('"model"', "tokenizer.json .* cannot be used: "),
        ('"vocab"', "has a tokenizer without a vocabulary"),
    ):
        path.write_text(whole.replace(damaged, '"Other"', 1))
        with pytest.raises(ValueError, match=sentence) as refusal:
            load_tokenizer(str(tmp_path), "model.tokenizer")
        assert "\n" not in str(refusal.value)
