"""What a study asks of one clip, in multiples of one plain generate: `python -m tests.bench.together`.

Fidelity (three questions), attention, lens, knockout (28 conditions and the baseline, of two questions) and the scoring
of the answer for tokens, both modalities shown; all in one pass, each alone, and generate itself, all in one process.
The second model of tokens and the prompts with one modality are left out. The engine, the analyses' own functions, and
what puts them together (`study.answering`) are timed; clips, processors and judges are not.

Two floors: `generate` as it is called, which projects every position of this model's prompt onto the vocabulary, and
`caption`, which projects the last one only. Two vocabularies: the real one, and one as much smaller as the width is, so
that the head has the share of the work that it has in the true model.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from avnb.analyses import attention, lens, states
from avnb.analyses.changes import ANSWER
from avnb.engine.branches import Request, run, run_all
from avnb.engine.capture import Capture
from avnb.engine.conditions import Condition
from avnb.layers import depth_layers
from avnb.models.shared import current, shared
from avnb.study.answering import answered
from tests.bench import world
from tests.bench.cell import CLEAR, _give_back_memory, _memory
from tests.bench.machine import machine

TRUE_WIDTH = 3584  # of Qwen2.5-Omni-7B
N_EVENTS, N_NAMES = 24, 6  # events that the lens looks for, and tokens that name each


class Study:
    """The analyses of one clip: each a function without arguments, as `together` takes them.

    Args:
        model: of `world.build_model`.
        tokens: positions of the prompt, about.
        new: tokens of an answer.
    """

    def __init__(self, model, tokens, new):
        self.model, self.new, n_layers = model, new, len(model.decoder.layers)
        vocabulary = model.decoder.config.vocab_size
        self.clips = [world.clip_inputs(tokens, question, vocabulary) for question in range(3)]
        spans = [range(stop) for stop in range(n_layers // 14, n_layers + 1, n_layers // 14)]
        self.cuts = [Condition()] + [Condition.block(ANSWER, to, span) for to in ("video", "audio") for span in spans]
        generator = torch.Generator().manual_seed(2)
        drawn = torch.randint(0, vocabulary, (N_EVENTS, N_NAMES), generator=generator)
        self.events, self.layers = drawn.tolist(), depth_layers(n_layers, lens.DEPTH)
        names = ("fidelity", "attention", "lens", "knockout", "tokens")
        self.works = {name: getattr(self, name) for name in names}

    def prompt(self, question):
        """As `AVModel.prompt`, which makes a prompt once for all that ask for it."""
        made = current().prompts
        if question not in made:
            made[question] = self.model.prompt_from_inputs(**self.clips[question])
        return made[question]

    def fidelity(self):
        asked = [Request(self.prompt(question), max_new_tokens=self.new) for question in range(3)]
        return [found.token_ids.tolist() for (found,) in run_all(self.model, asked)]

    def attention(self):
        return attention.shares(self.model, [self.prompt(0)], max_new_tokens=self.new)

    def lens(self):
        best = states.best_of(self.events, lens.TOP_K)
        return states.scan(self.model, self.prompt(0), "audio", True, self.layers, best)[-1]

    def knockout(self):
        asked = [Request(self.prompt(question), self.cuts, self.new) for question in range(2)]
        return [[found.token_ids.tolist() for found in runs] for runs in run_all(self.model, asked)]

    def tokens(self):
        return run(self.model, self.prompt(0), max_new_tokens=self.new, capture=Capture(logits=True))[0].logits

    def together(self):
        found = answered(list(self.works.values()))
        if errors := [one for one in found if isinstance(one, Exception)]:
            raise errors[0]
        return dict(zip(self.works, found, strict=True))

    def alone(self, name):
        with shared():  # as `jobs.over` does
            return self.works[name]()

    def generate(self):
        with torch.inference_mode():
            return self.model.hf.generate(**self.clips[0], max_new_tokens=self.new, do_sample=False)[0, -self.new :]

    def caption(self):
        head = self.model.hf.get_output_embeddings()
        handle = head.register_forward_pre_hook(lambda module, args: (args[0][:, -1:], *args[1:]))
        try:
            return self.generate()
        finally:
            handle.remove()


def measure(vocabulary, options):
    """A result as a dict: ratios to either floor, peak memory, and whether all tokens agree."""
    model = world.build_model(options.layers, options.width, vocabulary=vocabulary)
    now = time.process_time if options.clock == "cpu" else time.perf_counter
    warm = Study(model, 100, 2)
    warm.generate(), warm.together()
    study = Study(model, options.tokens, options.new)
    ways = {"generate": study.generate, "caption": study.caption, "together": study.together}
    ways |= {name: lambda name=name: study.alone(name) for name in study.works}
    seconds, peaks, found = {name: [] for name in ways}, {}, {}
    for _ in range(options.repeats):
        for name, way in ways.items():
            _give_back_memory()
            before = _memory("VmRSS")
            CLEAR.write_text("5")  # resets the peak
            start = now()
            found[name] = way()
            seconds[name].append(now() - start)
            peaks[name] = (_memory("VmHWM") - before) / 2**20
    seconds = {name: statistics.median(some) for name, some in seconds.items()}
    pairs = [(found["together"][name], found[name]) for name in ("fidelity", "knockout")]
    return {
        "vocabulary": vocabulary,
        "prompt_tokens": study.clips[0]["input_ids"].shape[1],
        "conditions": len(study.cuts),
        "seconds": seconds,
        "ratio": {name: value / seconds["generate"] for name, value in seconds.items()},
        "ratio_to_caption": {name: value / seconds["caption"] for name, value in seconds.items()},
        "peak_mib": peaks,
        "agree": all(a == b for a, b in pairs) and found["fidelity"][0] == found["generate"].tolist(),
    }


def table(results):
    """Lines of text: every way in multiples of one generate, and its peak memory."""
    lines = []
    for result in results:
        lines.append(f"vocabulary {result['vocabulary']:,}, prompt of {result['prompt_tokens']:,} positions:")
        lines.append("".join(f"{name:>14}" for name in ("", "x generate", "x caption", "peak MiB")))
        for name in result["ratio"]:
            cells = (f"{result[key][name]:.2f}" for key in ("ratio", "ratio_to_caption"))
            lines.append("".join(f"{cell:>14}" for cell in (name, *cells, f"{result['peak_mib'][name]:.0f}")))
        alone = sum(
            result["ratio"][name] for name in result["ratio"] if name not in ("generate", "caption", "together")
        )
        lines.append(f"one after the other: {alone:.2f} x generate; the same tokens: {result['agree']}")
    return lines


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.bench.together", description=__doc__.splitlines()[0])
    for name, default in (("tokens", 2000), ("new", 16), ("layers", 28), ("width", 512), ("repeats", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: on a machine that others use")
    parser.add_argument("--out", type=Path, default=Path("build/together.json"))
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    settings = {name: getattr(options, name) for name in ("layers", "width", "new", "repeats", "clock")}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    scaled, results = world.VOCABULARY * options.width // TRUE_WIDTH, []
    for vocabulary in (scaled, world.VOCABULARY):
        results.append(measure(vocabulary, options))
        options.out.write_text(json.dumps({"machine": machine(), "settings": settings, "cells": results}, indent=1))
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
