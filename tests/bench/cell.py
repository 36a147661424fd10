"""One measurement in a process of its own: seconds and peak memory of a method, beside one plain generate."""

import ctypes
import gc
import statistics
import time
from pathlib import Path

import torch

from tests.bench.methods import EAGER, METHODS, ONE_BY_ONE, generate
from tests.bench.world import build_model, clip_inputs, sweep

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def measure(method, tokens, conditions, new, layers, width, repeats, measured, clock):
    """A result as a dict; methods that run condition by condition time `measured` of them and are scaled up."""
    torch.set_grad_enabled(False)
    model = build_model(layers, width)
    inputs = clip_inputs(tokens)
    todo = sweep(conditions, layers)
    n_timed = min(conditions, measured) if method in ONE_BY_ONE else conditions
    answer = METHODS[method]
    now = time.process_time if clock == "cpu" else time.perf_counter

    def call(function, prompt, n_conditions, n_new):
        model.hf.set_attn_implementation("eager" if function.__name__ in EAGER else "sdpa")
        start = now()
        tokens = function(model, prompt, todo[:n_conditions], n_new)
        return now() - start, tokens

    for function in (generate, answer):
        call(function, clip_inputs(100), 1, 2)
    floor, taken = [], []
    _give_back_memory()
    before = _memory("VmRSS")
    CLEAR.write_text("5")  # resets the peak
    seconds, found = call(answer, inputs, n_timed, new)
    peak = _memory("VmHWM") - before
    taken.append(seconds)
    floor.append(call(generate, inputs, 1, new)[0])
    for _ in range(0 if method in ONE_BY_ONE else repeats - 1):
        taken.append(call(answer, inputs, n_timed, new)[0])
        floor.append(call(generate, inputs, 1, new)[0])
    seconds = statistics.median(taken) * (conditions / n_timed if method in ONE_BY_ONE else 1)
    return {
        "prompt_tokens": inputs["input_ids"].shape[1],
        "seconds": seconds,
        "generate_seconds": statistics.median(floor),
        "ratio": seconds / statistics.median(floor),
        "runs": taken,
        "generate_runs": floor,
        "peak_mib": peak / 2**20,
        "conditions_timed": n_timed,
        "clock": clock,
        "extrapolated": n_timed < conditions,
        "token_ids": found[:3],
    }


def _give_back_memory():
    """Freed memory goes back to the system, so that the next peak is the method's own."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def _memory(name):
    """Bytes of a line of /proc/self/status: VmRSS now, VmHWM at its peak."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024
