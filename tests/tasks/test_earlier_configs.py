from qa_research.tasks.earlier_configs import upgraded


def test_files_of_earlier_runs_are_utf_8_and_their_configs_stay_as_they_are():
    data = {"_target_": "qa_research.tasks.answering.data.FileData", "train_path": "a"}
    config = {"task": {}, "data": data}
    assert upgraded(config)["data"]["encoding"] == "utf-8" and "encoding" not in data
    assert upgraded(config)["data"]["validation_share"] is None
    later = {"task": {}, "data": data | {"encoding": "latin-1"}}
    assert upgraded(later)["data"]["encoding"] == "latin-1"
    hub = {"_target_": "qa_research.tasks.answering.data.HubData", "dataset": "a"}
    assert "encoding" not in upgraded({"data": hub})["data"]
