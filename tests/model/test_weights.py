import pytest

from qa_research.model.weights import check_json_files, locate


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
        check_json_files(tmp_path)
