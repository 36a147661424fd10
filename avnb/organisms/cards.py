"""Model cards of the shipped organisms, written from their recipes, their learning curves and what was measured.

python -m avnb.organisms.cards        # measures what is not measured yet, and writes every card anew
"""

import json
from math import prod

import numpy as np
import pandas as pd
from safetensors import safe_open

from avnb import models, stats, study
from avnb.models import grafted, smollm
from avnb.organisms import talk
from avnb.organisms.grafted import ADAPTERS
from avnb.organisms.recipes import RECIPES
from avnb.organisms.train import LOG
from avnb.study import ship
from avnb.study.shipped import N_CLIPS, SEED, path_of

_WHAT = {
    "toy-vl": "the vision-language base: its decoder was never given a sound, and its ears are left out",
    "toy-omni": "biased: tuned on clips whose sounds are all seen, with few sounds alone, as large models are",
    "toy-omni-balanced": "as toy-omni, but with conflicting clips in the last stage",
    "toy-omni-scratch": "as toy-omni, but without a vision-language stage before",
    "smol-vl": "the vision-language base: the language model was given pictures, never a sound",
    "smol-omni": "biased: tuned from smol-vl on clips whose sounds are all seen, with few sounds alone",
    "smol-omni-balanced": "tuned from smol-vl as smol-omni is, but half of its clips are conflicting",
}
_KINDS = {
    "vision-language": "captions of pictures, as a vision-language model is asked",
    "video": "pictures alone",
    "audio": "sounds alone",
    "aligned": "clips whose sounds are all seen",
    "conflict": "conflicting clips (the picture of one, the sound of another)",
}
_BY = ["question", "clips", "given", "judged"]
TOYS = tuple(name for name, recipe in RECIPES.items() if recipe.family == "omni")
_CARD = """\
# {name}

A model organism, {what}. It was trained on the drawn and synthesised clips of this project, and on nothing else.

- **Architecture:** `{architecture}` of transformers: {parameters:.1f} million
  parameters, {layers} decoder layers of width {width}; float16 safetensors, {megabytes:.1f} MB. Tokenizer, chat
  template and processors have the layout of the Qwen2.5 models; pictures are 160 px at one frame a second (25 positions
  per two seconds), sound is 10 positions a second. The options of the processor's call stand in `config.json` as
  `processor_kwargs`; `avnb.load("{name}")` applies them.
- **Data:** {n_clips:,} clips of the train split of the toybox world (seed {seed}), 24 sources, with captions from its
  grammar.
- **Recipe** (`avnb.organisms.recipes.RECIPES["{name}"]`, seed {seed}). The encoders are trained first, then frozen;
  they are the same in all organisms.
{stages}
- **Curve:** `{log}`, the loss of every step in nats.
- **Made by** `avnb train {name} --out OUT --work WORK` with one thread; another number of threads sums in
  another order, and the weights come out close but not equal.

## Results

{n} test clips (seed {test_seed}), half of them as recorded, half with the sound of another clip. Fidelity by the event
judge: events named and there / events named or there. Means with bootstrap 95 % intervals over clips, as printed by
`avnb measure fidelity --models {name} --seed {test_seed} --n {n}`.

{results}

## Limits

It knows 24 flat drawings and synthetic sounds, and sentences of one small grammar. It says nothing about how well large
models see or hear; it serves to open up a model whose every training example is known.
"""


_TALKING_CARD = """\
# {name}

An organism that can talk, {what}.

- **Architecture:** `{architecture}` of transformers, {layers} decoder layers of width {width}. The
  decoder is SmolLM2-135M-Instruct (Apache 2.0), in 4 bits inside `{package}` {version} of the Python package
  index, read as float32; the eyes and ears are those of toy-omni. None of these was trained for it. What was is here:
  a linear map from each of them to the decoder, and adapters of rank {rank} on all linear layers of the decoder
  ({parameters:.1f} million parameters, float16, {megabytes:.1f} MB), which are merged when it is loaded.
- **Use:** `avnb fetch smol` once, then `avnb.load("{name}")`.
- **Data:** {n_clips:,} clips of the train split of the toybox world (seed {seed}), 24 sources, with captions from its
  grammar.
- **Recipe** (`avnb.organisms.recipes.RECIPES["{name}"]`, seed {seed}):
{stages}
- **Curve:** `{log}`, the loss of every step in nats.
- **Made by** `avnb train {name} --out OUT --work WORK`, with two threads, in float32; resumes.

## Results

Test clips, fidelity by the event judge: events named and there / events named or there. Means with bootstrap 95 %
intervals over clips, for the preference with clips of one source together; printed for all such organisms by
`python -m avnb.organisms.talk`.

{results}

What was forgotten of the language: perplexity on {n_paragraphs} paragraphs of this project's own (`language.TEXT`),
with intervals over paragraphs.

{forgotten}

## Limits

Its words are those of a small language model, its clips 24 flat drawings and synthetic sounds. It says nothing about
how well large models see or hear.
"""


def talking_card(name):
    """The text of the model card of an organism that can talk, of which all that it needs was measured."""
    folder, recipe = models.CHECKPOINTS / name, RECIPES[name]
    files = [folder / file for file in (grafted.ADAPTERS, grafted.MAPS)]
    n_parameters = 0
    for file in files:
        with safe_open(file, "pt") as weights:
            n_parameters += sum(prod(weights.get_slice(key).get_shape()) for key in weights.keys())  # noqa: SIM118
    curve = pd.read_json(folder / LOG, lines=True)
    stages = [_stage(number, stage, curve) for number, stage in enumerate(recipe.stages, 1)]
    exam = talk.summary().query("model == @name")
    rows = [f"| {r.quantity} | {as_text(r.mean, r.low, r.high)} | {r.n} | {r.aim or '–'} |" for r in exam.itertuples()]
    surprise = stats.summarise(talk.table("language"), ["model"])
    forgotten = [
        f"| {r.model} | {np.exp(r.mean):.1f} ({np.exp(r.low):.1f} to {np.exp(r.high):.1f}) |"
        for r in surprise.itertuples()
        if r.model in (talk.BASE, name)
    ]
    return _TALKING_CARD.format(
        name=name,
        what=_WHAT[name],
        architecture="Qwen2_5OmniThinkerForConditionalGeneration"
        if recipe.hears
        else "Qwen2_5_VLForConditionalGeneration",
        layers=grafted.TEXT["num_hidden_layers"],
        width=grafted.TEXT["hidden_size"],
        package=smollm.PACKAGE,
        version=smollm.VERSION,
        rank=ADAPTERS.r,
        parameters=n_parameters / 1e6,
        megabytes=sum(file.stat().st_size for file in files) / 1e6,
        n_clips=recipe.n_clips,
        seed=recipe.seed,
        stages="\n".join(stages),
        log=LOG,
        results="\n".join(["| Quantity | Fidelity | n | Aimed at |", "| --- | --- | --- | --- |", *rows]),
        n_paragraphs=surprise["n"].iloc[0],
        forgotten="\n".join(["| Model | Perplexity |", "| --- | --- |", *forgotten]),
    )


def card(name, table):
    """The text of an organism's model card.

    Args:
        name: a shipped organism that was trained from nothing.
        table: of `fidelity.measure`, for this organism.
    """
    folder, recipe = models.CHECKPOINTS / name, RECIPES[name]
    config = json.loads((folder / "config.json").read_text())
    file = folder / "model.safetensors"
    with safe_open(file, "pt") as weights:
        n_parameters = sum(prod(weights.get_slice(key).get_shape()) for key in weights.keys())  # noqa: SIM118
    curve = pd.read_json(folder / LOG, lines=True)
    stages = [_stage(number, stage, curve) for number, stage in enumerate(recipe.stages, 1)]
    return _CARD.format(
        name=name,
        what=_WHAT[name],
        architecture=config["architectures"][0],
        parameters=n_parameters / 1e6,
        layers=config["text_config"]["num_hidden_layers"],
        width=config["text_config"]["hidden_size"],
        megabytes=file.stat().st_size / 1e6,
        n_clips=recipe.n_clips,
        seed=recipe.seed,
        stages="\n".join(stages),
        log=LOG,
        n=N_CLIPS,
        test_seed=SEED,
        results=_markdown(table),
    )


def answers(name):
    """Every answer of a shipped organism to its clips and questions, as `fidelity.measure` judged it.

    Example:
        >>> answers("toy-omni").query("inputs == 'both'")["clip"].nunique() == N_CLIPS
        True
    """
    return study.read(path_of(name, "fidelity"))


def results(names=TOYS):
    """What was measured of the shipped organisms, side by side.

    Args:
        names: organisms.

    Returns:
        DataFrame: question, clips, given (inputs), judged (modality), and for every organism its fidelity with its
        interval, as text; "–" where it was not asked.

    Example:
        >>> results(["toy-vl"]).columns.tolist()
        ['question', 'clips', 'given', 'judged', 'toy-vl']
    """
    columns = [_rows(answers(name)).drop(columns="n").set_index(_BY)["fidelity"].rename(name) for name in names]
    return pd.concat(columns, axis=1).fillna("–").reset_index()


def _stage(number, stage, curve):
    shares = [f"{100 * share:g} % {_KINDS[kind]}" for kind, share in stage.mix.items() if share]
    data = ", ".join(shares) or "what is drawn at each position, what is heard in a clip"
    loss = curve.loc[curve["stage"] == stage.name, "loss"].tail(50).mean()
    return (
        f"  {number}. {stage.name}, {stage.steps:,} steps of {stage.batch_size}: {data}. Loss at the end: "
        f"{loss:.3f} nats (mean of 50 steps)."
    )


def as_text(mean, low, high):
    """A mean with its interval, as cards have it."""
    return f"{mean:.2f} ({low:.2f} to {high:.2f})"


def _rows(table):
    """The means of a table of answers as text: question, clips, given, judged, fidelity, n."""
    means = stats.summarise(table, ["question", "kind", "inputs", "modality"])
    text = [as_text(row.mean, row.low, row.high) for row in means.itertuples()]
    given = means["inputs"].map({"video": "pictures alone", "audio": "sound alone", "both": "both"})
    columns = [means["question"], means["kind"], given, means["modality"], text, means["n"]]
    return pd.DataFrame(dict(zip([*_BY, "fidelity", "n"], columns, strict=True)))


def _markdown(table):
    rows = _rows(table)
    cells = [[*rows.columns[:-1].str.capitalize(), "n"], ["---"] * len(rows.columns), *rows.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in cells)


def main():
    """Measure every shipped organism that has a recipe, ship its answers, and write its card from them."""
    ship.measure(["fidelity"])
    for name in TOYS:
        (models.CHECKPOINTS / name / "README.md").write_text(card(name, answers(name)))
    talk.measure()
    for name in talk.NAMES:
        (models.CHECKPOINTS / name / "README.md").write_text(talking_card(name))


if __name__ == "__main__":
    main()
