"""The launcher behind `qa-research explain`: Hydra composes and sweeps, one folder an explanation.

Exit codes: 0 done, 1 a program's error, 2 a request that cannot be carried out (one sentence says why),
130 stopped by Ctrl-C, 143 by SIGTERM.
"""

import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from qa_research.console import start_logging
from qa_research.explain.images.settings import ExplainSettings
from qa_research.launch.compose import checked, conf_directory, plain_sentence
from qa_research.signals import Signals, Stopped, leave

# Hydra then raises instead of printing and leaving; the sentences are ours to say.
os.environ["HYDRA_FULL_ERROR"] = "1"

CONFIG = "explain"
USER_ERRORS = (ValueError, OSError)
LAUNCHER = re.compile(r"\+?(hydra/)?(launcher|search|sweeper)=")
REFUSALS = (HydraException, OmegaConfBaseException, *USER_ERRORS)


class _Jobs:
    """What became of the jobs of one call."""

    def __init__(self, as_json: bool, debug: bool) -> None:
        self.as_json = as_json
        self.debug = debug
        self.done: list[tuple[list[str], dict[str, Any]]] = []
        self.refused = 0
        self.is_sweep = False

    def run(self, config: DictConfig) -> None:
        """One explanation, alone or in a sweep; what cannot be done is said, and the next begins."""
        self.is_sweep = HydraConfig.get().mode == RunMode.MULTIRUN
        overrides = list(HydraConfig.get().overrides.task)
        try:
            if self.is_sweep and not self.as_json:
                from qa_research.explain.images.show import readable

                print(f"\n{readable(overrides)}", flush=True)
            found = _explain(checked(config, ExplainSettings), overrides, self.as_json)
            self.done.append((overrides, found))
        except REFUSALS as error:
            if self.debug:
                raise
            print(f"qa-research: {plain_sentence(error, CONFIG)}", file=sys.stderr)
            self.refused += 1

    def end(self) -> int:
        """Show what belongs to all of them; the exit code."""
        if self.as_json:
            found = [one for _, one in self.done]
            if found or self.is_sweep:
                shown = found if self.is_sweep else found[0]
                print(json.dumps(shown, ensure_ascii=False, indent=2))
        elif len(self.done) > 1:
            from qa_research.explain.images.show import show_sweep

            show_sweep(self.done)
        return 2 if self.refused else 0


def main() -> int:
    """Compose a config from the command line and explain; the exit code."""
    flags = {flag: flag in sys.argv for flag in ("--debug", "--json")}
    sys.argv = [sys.argv[0], *(_parsable(w) for w in sys.argv[1:] if w not in flags)]
    jobs = _Jobs(flags["--json"], flags["--debug"])
    launch: Any = hydra.main(
        version_base="1.3", config_path=str(conf_directory()), config_name=CONFIG
    )(jobs.run)
    start_logging()
    if chosen := [word for word in sys.argv if LAUNCHER.match(word)]:
        print(
            "qa-research: explanations of a sweep are made one after the other; leave "
            f"{chosen[0]} away",
            file=sys.stderr,
        )
        return 2
    shows_config = any(word in sys.argv for word in ("--help", "-h", "--cfg", "-c", "--info", "-i"))
    try:
        with Signals():
            launch()
    except BrokenPipeError:
        # Whoever read our output has left, as `| head` does.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return 1
    except Stopped as stopped:
        command = shlex.join(["qa-research", "explain", *sys.argv[1:]])
        print(
            f"Stopped by {stopped}. Go on with: {command}",
            file=sys.stderr,
        )
        leave(stopped.exit_code)
    except REFUSALS as error:
        if jobs.debug:
            raise
        print(f"qa-research: {plain_sentence(error, CONFIG)}", file=sys.stderr)
        return 2
    return 0 if shows_config else jobs.end()


def _parsable(word: str) -> str:
    """An override with a value that Hydra's grammar cannot read, such as `image=photo (1).jpg`, in quotes."""
    key, equals, value = word.partition("=")
    if word.startswith("-") or not equals:
        return word
    try:
        OverridesParser.create().parse_override(word)
    except HydraException:
        escaped = re.sub(r'(\\*)"', r'\1\1\\"', value)
        return f'{key}="{escaped}"'
    return word


def _explain(config: dict[str, Any], overrides: list[str], quiet: bool) -> dict[str, Any]:
    """Explain one picture, write its folder, draw it and show it; the plain form of the explanation."""
    # Torch, torchvision and scikit-image are slow to import, and --help needs none of them.
    from qa_research.config import build
    from qa_research.explain.images.explain import ExplanationRequest, explain
    from qa_research.explain.images.picture import read_picture
    from qa_research.explain.images.result import explanation_folder, write_explanation
    from qa_research.explain.images.sheet import draw_explanation
    from qa_research.explain.images.show import ExplainingScreen
    from qa_research.runs.directory import check_writable

    paths = {key: Path(str(config["paths"][key])).expanduser() for key in ("explanations", "cache")}
    picture = read_picture(config["image"])
    folder = explanation_folder(paths["explanations"], picture, config)
    check_writable(folder, "paths.explanations")
    wish = ExplanationRequest(
        label=config["label"],
        seed=config["seed"],
        segmenter=build(config["segmenter"]),
        lime=build(config["lime"]),
        trust=build(config["trust"]),
        counterfactual=build(config["counterfactual"]),
        # Where things lie decides nothing.
        command=shlex.join(
            ["qa-research", "explain", *(w for w in overrides if not w.startswith("paths."))]
        ),
        config={key: value for key, value in config.items() if key != "paths"},
    )
    with ExplainingScreen() as screen:
        explanation = explain(picture, build(config["classifier"]), wish, paths["cache"], screen)
        write_explanation(folder, explanation)
        screen.drawing()
        drawn = draw_explanation(folder)
    plain = explanation.as_json()
    if not quiet:
        from qa_research.explain.images.show import show_explanation

        show_explanation(plain, wish.trust.top)
        print(
            f"\nSheet    {drawn.sheet}\nPage     {drawn.page}\nNumbers  {folder}/explanation.json"
        )
    return plain
