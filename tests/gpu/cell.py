"""One measurement in a process of its own: a way to answer under many conditions, beside one plain generate."""

import statistics
import time

import torch

import avnb
from tests.bench.methods import EAGER, METHODS, generate
from tests.bench.world import clip_inputs, sweep


def measure(folder, method, attention, quantize, tokens, conditions, new, measured, repeats):
    """A result as a dict.

    Args:
        folder: of a checkpoint that `world.write` wrote.
        method: "ours" (the engine), "ours_capture" (attention recorded, too) or "hooks" (one `generate` a condition).
        attention: "sdpa" or "flash_attention_2", of the engine and of the plain generate.
        quantize: None or "4bit".
        tokens: of the prompt, about.
        conditions: how many; of hooks only `measured` of them are timed, and the time is scaled up.
        new: tokens of an answer.
        repeats: the median of so many runs is taken.
    """
    torch.set_grad_enabled(False)
    start = time.perf_counter()
    # Without the processor beside it, whose placeholders are an organism's.
    model = avnb.wrap(avnb.load(folder, dtype=torch.bfloat16, quantize=quantize).hf)
    loading = time.perf_counter() - start
    model.hf.generation_config.eos_token_id = None
    model.stop_ids = set()
    inputs = {name: _moved(value, model) for name, value in clip_inputs(tokens).items()}
    todo = sweep(conditions, len(model.decoder.layers))
    timed = todo[:measured] if method == "hooks" else todo

    def call(function, some):
        model.hf.set_attn_implementation("eager" if function.__name__ in EAGER else attention)
        _wait()
        began = time.perf_counter()
        answers = function(model, inputs, some, new)
        _wait()
        return time.perf_counter() - began, answers

    call(generate, todo[:1])
    call(METHODS[method], todo[:1])
    weights = _memory()
    _forget_peak()
    runs = [call(METHODS[method], timed) for _ in range(repeats)]
    peak = _peak() - weights
    floor = statistics.median(call(generate, todo[:1])[0] for _ in range(repeats))
    seconds = statistics.median(taken for taken, _ in runs) * len(todo) / len(timed)
    return {
        "prompt_tokens": inputs["input_ids"].shape[1],
        "loading_seconds": loading,
        "seconds": seconds,
        "generate_seconds": floor,
        "ratio": seconds / floor,
        "extrapolated": len(timed) < len(todo),
        "weights_gb": weights / 1e9,
        "peak_gb": peak / 1e9,
        "token_ids": runs[0][1][:2],
    }


def _moved(value, model):
    if not isinstance(value, torch.Tensor):
        return value
    return value.to(model.device, model.hf.dtype if value.is_floating_point() else value.dtype)


def _wait():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _memory():
    return torch.cuda.memory_allocated() if torch.cuda.is_available() else 0


def _forget_peak():
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _peak():
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
