"""What a step and a score are, whatever the precision, the accumulation and the number of processes."""

import json
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from qa_research.launch.compose import checked
from qa_research.model.bert import head_of
from qa_research.runs.directory import read_record
from qa_research.runs.open import open_run
from qa_research.tasks.answering.evaluation import evaluate
from qa_research.tasks.answering.squad import squad_json
from qa_research.tasks.answering.trained import questions_of
from qa_research.tasks.learning import LearningModule
from qa_research.tasks.task import Task
from tests.conftest import make_question
from tests.tiny_run import train
from tests.training.reading import directory_of, rows_of


def steps_of(run):
    return [row for row in rows_of(run) if row["train/loss"]]


@pytest.fixture
def one_length(tiny, tmp_path):
    """A run on 11 questions of equal length, so that padding is the same in every division."""
    rows = [
        make_question(i, f"Who teaches {letter}?", "Ms Lund", f"Ms Lund teaches {letter}.")
        for i, letter in enumerate("ABCDEFGHIJK")
    ]
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(squad_json(rows, "1.1")))

    def make(*overrides):
        return tiny(
            *("data=squad_file", f"data.train_path={path}", f"data.validation_path={path}"),
            *("data.train_questions=null", "data.validation_questions=null"),
            *("trainer.max_epochs=2", "trainer.val_check_interval=1.0", "model.dropout=0.0"),
            *("model.warmup_fraction=0.0", "trainer.gradient_clip_val=null", *overrides),
        )

    return make


def test_a_step_is_the_mean_over_its_windows_however_they_are_divided(one_length):
    found = {}
    for batch, accumulate in ((11, 1), (8, 2), (4, 3), (4, 5), (1, 11)):
        config = one_length(
            f"data.batch_size={batch}", f"trainer.accumulate_grad_batches={accumulate}"
        )
        train(config)
        found[batch, accumulate] = [
            [float(row[name]) for name in ("train/loss", "train/gradient_norm")]
            for row in steps_of(directory_of(config))
        ]
    assert [len(steps) for steps in found.values()] == [2] * 5
    for steps in found.values():
        # Equal to rounding; the last of them, the partial accumulation, divided by 5 of 3 batches.
        torch.testing.assert_close(
            torch.tensor(steps), torch.tensor(found[11, 1]), rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_weights_of_a_step_add_up_to_one_over_all_processes(processes):
    # Two steps of 3 batches; the last one is partial, and its last batch has one example.
    sizes, accumulate = [8, 8, 8, 8, 1], 3
    module = object.__new__(LearningModule)
    torch.nn.Module.__init__(module)
    module._sizes = (-1, (), ())
    examples = {}
    for rank in range(processes):
        module._trainer = SimpleNamespace(
            current_epoch=0,
            datamodule=SimpleNamespace(
                batch_sizes=lambda epoch: sizes, served_sizes=lambda epoch: sizes
            ),
            accumulate_grad_batches=accumulate,
            world_size=processes,
            global_rank=rank,
            num_training_batches=len(sizes),
        )
        module._fabric = None
        for batch, size in enumerate(sizes):
            share = module.share_of_step(torch.tensor(1.0), batch).item()
            # Lightning's own division by batches, and the mean over processes.
            examples[batch, rank] = share / accumulate / processes
            own = len(range(rank, size, processes))
            total = sum(sizes[:3]) if batch < 3 else sum(sizes[3:])
            assert examples[batch, rank] == pytest.approx(own / total)
    assert sum(v for (batch, _), v in examples.items() if batch < 3) == pytest.approx(1)
    assert sum(v for (batch, _), v in examples.items() if batch >= 3) == pytest.approx(1)


def test_the_output_layer_is_computed_in_float32_within_autocast(tiny, cache):
    config = checked(tiny("trainer.precision=bf16-mixed"))
    task = Task.from_config(OmegaConf.to_container(OmegaConf.create(config)))
    task.load(cache, 1)
    network, seen = task.network.eval(), {}
    head = head_of(network)
    head.register_forward_pre_hook(lambda _, inputs: seen.update(hidden=inputs[0]))
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        output = network(input_ids=torch.arange(5, 45)[None])
    wanted = torch.nn.functional.linear(seen["hidden"].float(), head.weight, head.bias)
    assert output.start_logits.dtype == torch.float32
    assert torch.equal(torch.stack([output.start_logits, output.end_logits], -1), wanted)
    # A bfloat16 rounds 40 scores of similar size to a few values.
    assert len(output.start_logits.unique()) == 40 > len(wanted[..., 0].bfloat16().unique())


@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true"])
def test_a_finished_run_shows_the_scores_that_evaluate_gives(tiny, precision):
    config = tiny(f"trainer.precision={precision}", "model.lr=1e-2")
    score = train(config)
    run = directory_of(config)
    record, opened = read_record(run), open_run(str(run), "best", run.parent)
    questions = questions_of(opened.config, opened.record, "validation")
    answers = opened.answer(questions)
    overall = evaluate(questions, answers).overall
    assert record["best"]["val/f1"] == score == pytest.approx(overall.f1.value, abs=1e-4)
    assert record["best"]["val/exact_match"] == pytest.approx(overall.exact_match.value, abs=1e-4)
    stored = json.loads((run / "predictions/validation.json").read_text())
    assert [row["prediction"] for row in stored] == [answer.text for answer in answers]
    assert [row["probability"] for row in stored] == pytest.approx(
        [answer.probability for answer in answers], abs=1e-5
    )
    assert ("best_while_training" in record) == (precision != "32-true")


def test_every_step_is_in_metrics_and_every_nth_in_tensorboard(tiny):
    config = tiny("trainer.log_every_n_steps=4", "trainer.max_steps=6")
    train(config)
    run = directory_of(config)
    assert [int(row["step"]) for row in steps_of(run)] == [1, 2, 3, 4, 5, 6]
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [4]
