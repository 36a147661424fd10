"""What a run takes, before it is begun: memory by the configuration of the decoder, time by one answer.

>>> from transformers import Qwen2Config
>>> config = Qwen2Config(num_hidden_layers=36, hidden_size=2048, num_attention_heads=16, num_key_value_heads=2)
>>> found = needs(config, n_positions=3000, max_new_tokens=64)
>>> round(found.prompt / 2**20), round(found.condition / 2**20)
(796, 17)
"""

import time
from typing import NamedTuple

from avnb.engine.branches import run
from avnb.engine.memory import branch_bytes, free_bytes, position_bytes
from avnb.media.clip import ClipError
from avnb.questions import HEAR, SEE

REAL = 1e9  # parameters from which on it is worth to be told beforehand

_FIXED = 220 * 2**20  # bytes that a run takes whatever it is, as was measured


class Needs(NamedTuple):
    """Bytes beside the weights.

    Attributes:
        prompt: one prompt with an answer.
        condition: every further condition of a knockout on this prompt, from the last media position on.
    """

    prompt: int
    condition: int


def needs(config, n_positions, max_new_tokens, n_rows=64, element_size=2) -> Needs:
    """The memory of a run, estimated as the engine does before it decides how many conditions go at once.

    Args:
        config: of the decoder.
        n_positions: of the prompt.
        max_new_tokens: the longest answer.
        n_rows: positions of the prompt that a condition has of its own: those from the first on whose attention it
            changes.
        element_size: bytes of a number, 2 in bfloat16.
    """
    one = position_bytes(config, n_positions + max_new_tokens, element_size)
    prompt = _FIXED + one.kept * (n_positions + max_new_tokens) + one.passing * n_positions
    prompt += element_size * n_positions**2 + one.last
    return Needs(prompt, branch_bytes(config, n_positions, n_rows, max_new_tokens, element_size))


def told(model, clips, n_prompts=1, n_conditions=1, max_new_tokens=64, smallest=REAL) -> str:
    """What measuring some clips would take, in Markdown, by the first of them.

    Args:
        model: an AVLLM from `avnb.load`.
        clips: the clips.
        n_prompts: how many prompts are made of each.
        n_conditions: how many answers are given to each prompt.
        max_new_tokens: the longest answer.
        smallest: the number of parameters below which nothing is told, and nothing tried.

    Example:
        >>> clips = avnb.datasets.load("toybox", n=2)
        >>> told(avnb.load("toy-omni"), clips)
        ''
        >>> told(avnb.load("toy-omni"), clips, smallest=0).splitlines()[-1][:40]
        '- **Clips**: with n = 2, the 95 % interv'
    """
    n_parameters = sum(weight.numel() for weight in model.hf.parameters())
    if n_parameters < smallest:
        return ""
    prompt = next(filter(None, (_prompt(model, clip) for clip in clips)), None)
    if prompt is None:
        return "No clip can be read, so that nothing can be said of what it takes."
    start = time.perf_counter()
    run(model, prompt, max_new_tokens=max_new_tokens)
    seconds = time.perf_counter() - start
    found = needs(model.decoder.config, len(prompt), max_new_tokens, element_size=prompt.embeds.element_size())
    free = free_bytes(model.device)
    at_once = min(max(1, int(free // found.condition)), n_conditions)
    conditions = (
        f"; each of the {n_conditions - 1} conditions beside the first {found.condition / 1e6:,.0f} MB, of which "
        f"{at_once:,} go at once"
        if n_conditions > 1
        else ""
    )
    n = len(clips)
    return (
        f"Before it runs, by the first clip ({len(prompt):,} positions):\n\n"
        f"- **Memory**: `{model.name}` has {n_parameters / 1e9:.1f} billion parameters ({_size(model) / 1e9:.1f} GB). "
        f"A prompt takes about {found.prompt / 1e9:.1f} GB{conditions}. Free for it: {free / 1e9:.0f} GB.\n"
        f"- **Time**: an answer took {seconds:.1f} s, so that {n} clips with {n_prompts} prompts each take about "
        f"{in_words(n * n_prompts * seconds)}"
        f"{', and more for the further conditions, which share a prefill' if n_conditions > 1 else ''}.\n"
        f"- **Clips**: with n = {n}, the 95 % interval of a share is up to ±{1.96 * 0.5 / n**0.5:.2f} wide; "
        "with 100 ±0.10, with 400 ±0.05."
    )


def _prompt(model, clip):
    try:
        return model.prompt(clip, HEAR if model.hears else SEE)
    except ClipError:  # it will be left out, with its reason
        return None


def _size(model):
    return sum(weight.numel() * weight.element_size() for weight in model.hf.parameters())


def in_words(seconds):
    """A duration, for people.

    Example:
        >>> in_words(5), in_words(90), in_words(7200)
        ('5 s', '1.5 min', '2.0 h')
    """
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
