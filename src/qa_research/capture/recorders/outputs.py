"""What a network says of an example: a logit for each label, or one number; and how wrong it is."""

from collections.abc import Mapping

from qa_research.capture.forward import Forward
from qa_research.capture.recorders.recorder import Recorder, Subject, Summaries, to_numpy
from qa_research.capture.recording.arrays import Array
from qa_research.tasks.watching import losses

CURVES_AT_MOST = 8


class OutputsRecorder(Recorder):
    """The outputs for the watched examples, and their losses: of labels also probabilities and the answer."""

    of = ("labels", "number")

    def prepare(self, key: str, subject: Subject) -> None:
        self.examples = subject.watched.examples
        self.outputs = subject.watched.outputs

    def record(self, forward: Forward) -> Mapping[str, Array]:
        loss = to_numpy(losses(forward.scores, self.outputs))
        if self.outputs.kind == "number":
            number = forward.scores[:, 0]
            return {
                "prediction": Array(("question",), to_numpy(number), "1", "the network's output"),
                "error": Array(
                    ("question",),
                    to_numpy(number - self.outputs.true),
                    "1",
                    "the output minus the true value",
                ),
                "loss": Array(("question",), loss, "1", "squared error"),
            }
        shares = forward.scores.softmax(dim=1)
        best = shares.max(dim=1)
        true = shares.gather(1, self.outputs.true[:, None])[:, 0]
        question = ("question",)
        return {
            "logit": Array(
                ("question", "row"), to_numpy(forward.scores), "logits", "score of each label"
            ),
            "loss": Array(question, loss, "nats", "cross entropy of the true label"),
            "probability": Array(question, to_numpy(true), "probability", "of the true label"),
            "answer": Array(
                question, to_numpy(best.indices, "int32"), "1", "number of the likeliest label"
            ),
            "answer_probability": Array(
                question, to_numpy(best.values), "probability", "of the likeliest label"
            ),
            "exact_match": Array(
                question,
                to_numpy(best.indices == self.outputs.true, "int32"),
                "1",
                "1 if the likeliest label is the true one",
            ),
        }

    def summaries(self, captured: Mapping[str, Array], with_pictures: bool) -> Summaries:
        curves = {"watched/loss": float(captured["loss"].values.mean())}
        name, shown = "watched_prediction", captured.get("prediction")
        if shown is None:
            name, shown = "watched_probability", captured["probability"]
            curves["watched/accuracy"] = 100 * float(captured["exact_match"].values.mean())
        for i, row in enumerate(self.examples[:CURVES_AT_MOST]):
            curves[f"watched_loss/{row.id}"] = float(captured["loss"].values[i])
            curves[f"{name}/{row.id}"] = float(shown.values[i])
        return Summaries(curves=curves)
