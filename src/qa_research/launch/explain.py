"""The launcher behind `qa-research explain`: one explanation or a sweep of them, a folder each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from qa_research.console import start_logging
from qa_research.explain.images.settings import ExplainSettings
from qa_research.launch.compose import checked, run_hydra
from qa_research.launch.overrides import OF_SWEEPS, overrides_in
from qa_research.launch.refusals import REFUSALS, plain_sentence
from qa_research.signals import Signals, exit_code_of
from qa_research.text import command_line, print_json, print_line, print_note
from qa_research.threads import use_threads


def launch(words: Sequence[str], debug: bool) -> int:
    """Explain what the words ask for; the exit code."""
    start_logging()
    jobs = _Jobs("--json" in words, debug)
    overrides = [word for word in words if word != "--json"]

    def work() -> int:
        for word in overrides_in(overrides):
            if word.lstrip("+").partition("=")[0] in OF_SWEEPS:
                raise ValueError(
                    f"explanations of a sweep are made one after the other; remove {word}"
                )
        run_hydra(jobs.run, "explain", overrides, script="qa-research explain")
        return jobs.end()

    with Signals():
        return exit_code_of(work, debug, command_line("qa-research", "explain", *words))


class _Jobs:
    """The explanations of one call, as Hydra runs them."""

    def __init__(self, as_json: bool, debug: bool) -> None:
        self.as_json = as_json
        self.debug = debug
        self.done: list[tuple[list[str], Any]] = []
        self.refused = 0
        self.is_sweep = False

    def run(self, config: DictConfig) -> None:
        """Make one explanation, single or of a sweep. A refusal is shown, so that the next job starts."""
        self.is_sweep = HydraConfig.get().mode == RunMode.MULTIRUN
        overrides = list(HydraConfig.get().overrides.task)
        try:
            if self.is_sweep and not self.as_json:
                from qa_research.explain.images.show import readable

                print_line(f"\n{readable(overrides)}")
            found = explain_checked(
                checked(config, ExplainSettings), overrides, self.as_json, of_sweep=self.is_sweep
            )
            self.done.append((overrides, found))
        except REFUSALS as error:
            if self.debug:
                raise
            print_note(f"qa-research: {plain_sentence(error)}")
            self.refused += 1

    def end(self) -> int:
        """Show the results of all of them; the exit code."""
        if self.as_json:
            found = [one.as_json() for _, one in self.done]
            if found or self.is_sweep:
                shown = found if self.is_sweep else found[0]
                print_json(shown)
        elif len(self.done) > 1:
            from qa_research.explain.images.show import show_sweep

            show_sweep(self.done)
        return 2 if self.refused else 0


def explain_checked(
    config: dict[str, Any], overrides: list[str], quiet: bool, *, of_sweep: bool = False
) -> Any:
    """Explain one picture, write its folder, draw it and show it; the `Explanation`."""
    # Torch, torchvision and scikit-image are slow to import, and --help needs none of them.
    from qa_research.config import build
    from qa_research.explain.images.explain import ExplanationRequest, explain
    from qa_research.explain.images.picture import read_picture
    from qa_research.explain.images.result import explanation_folder
    from qa_research.explain.images.sheet import write_explanation
    from qa_research.explain.images.show import ExplainingScreen
    from qa_research.runs.directory import check_writable

    paths = {key: Path(str(config["paths"][key])).expanduser() for key in ("explanations", "cache")}
    picture = read_picture(config["image"])
    # Neither paths nor threads make another explanation.
    settings = {k: v for k, v in config.items() if k not in ("paths", "threads")}
    folder = explanation_folder(paths["explanations"], picture, settings)
    check_writable(folder, "paths.explanations=DIR")
    request = ExplanationRequest(
        label=config["label"],
        seed=config["seed"],
        segmenter=build("segmenter", config["segmenter"]),
        lime=build("lime", config["lime"]),
        trust=build("trust", config["trust"]),
        counterfactual=build("counterfactual", config["counterfactual"]),
        # Paths do not affect the result.
        command=command_line(
            "qa-research",
            "explain",
            *(w for w in overrides if not w.startswith(("paths.", "threads="))),
        ),
        config=settings,
    )
    use_threads(config["threads"])
    with ExplainingScreen() as screen:
        classifier = build("classifier", config["classifier"])
        explanation = explain(picture, classifier, request, paths["cache"], screen)
        screen.drawing()
        drawn = write_explanation(explanation, folder)
    if not quiet:
        from qa_research.explain.images.show import show_explanation

        show_explanation(explanation, of_sweep=of_sweep)
        print_line(
            f"\nSheet    {drawn.sheet}\nPage     {drawn.page}\nNumbers  {folder}/explanation.json"
        )
    return explanation
