"""The study's claims, one by one, beside what was measured here: the table of the chapter that sums up.

>>> tables = {"fidelity": measure("toy-omni", "toy-omni", dataset="toybox", n=4, only=["fidelity"])["fidelity"]}
>>> compare(tables)["chapter"].tolist()
[2, 2]
"""

from typing import NamedTuple

import pandas as pd

from avnb import datasets, models, paper, show, stats, study
from avnb.analyses import attention, changes, fidelity, patches, probe, tokens
from avnb.analyses.lens import DEPTH, TOP_K
from avnb.questions import HEAR

_CONFLICT = ["counterfactual"]
# What the claims rest on: the names under which chapters show the same (`show.marked`), after that of the model.
DROP = "audio fidelity, counterfactual - factual"
GAIN = "audio fidelity, counterfactual, sound alone - both"
PREFERENCE = "preference of sound over picture"
ABOVE = "latent recall, counterfactual, beyond chance"
RECOVERY = "audio fidelity, counterfactual, picture cut off from the answer - free"
INSIDE = "audio fidelity, counterfactual, picture cut off from the sound - free"
PROBED = "what is heard, told by a probe, counterfactual"
TAKEN = "what another clip lends and is named, counterfactual, picture - sound"
UNSHIFTED = "first tokens of sounds that the base says too, counterfactual"
RAISED = "audio fidelity, counterfactual, treated - untreated"
YES, NO, UNCLEAR, ADDED = "as in the study", "not here", "unclear here", "found here; not in the study"


class Claim(NamedTuple):
    """A claim, and what became of it.

    Attributes:
        claim: in a sentence.
        quantity: the name of what was measured, by which places are held together (`show.marked`).
        paper: the study's number or words for it.
        here: `stats.Interval` of what was measured here.
        unit: what `here` is.
        control: what the control gives, or None.
        verdict: one of `YES`, `NO`, `UNCLEAR` and `ADDED`, or in words.
        chapter: where it is measured.
    """

    claim: str
    quantity: str
    paper: str
    here: stats.Interval
    unit: str
    control: float | None
    verdict: str
    chapter: int


def measure(model, treated, *, dataset, n, seed=0, each=None, n_taught=240, out=None, only=None) -> dict:
    """The tables that the claims rest on: those that come with the package, else measured or read.

    Args:
        model: name of the model that the claims are about; one that hears.
        treated: name of the same model with conflicting clips in its training.
        dataset, n, seed, each, out: as in `study.table`; of fidelity, all clips are taken.
        n_taught: as in `probe.measure`; probes are tried on the toybox alone, which has clips to teach them on.
        only: some of the names of the tables; None for all.

    Returns:
        dict: "fidelity", "treated", "attention", "shuffled", "lens", "probe", "patching", "knockout", "inside",
        "tokens" -> table.
    """
    loaded = models.load(model)
    whole = {"questions": [HEAR], "blocked": ["video"], "spans": [[0, len(loaded.decoder.layers)]], "kinds": _CONFLICT}
    wanted = {
        "fidelity": (loaded, "fidelity", {}),
        "treated": (treated, "fidelity", {}),
        "attention": (loaded, "attention", {"each": each}),
        "shuffled": (loaded, "attention", {"each": each, "shuffled": True}),
        "lens": (loaded, "lens", {"each": each}),
        "probe": (loaded, "probe.measure", {"each": each, "taught_on": dataset, "n_taught": n_taught}),
        "patching": (loaded, "patching.measure", {"each": each, "kinds": _CONFLICT}),
        "knockout": (loaded, "knockout", {"each": each, "n_draws": 1} | whole),
        "inside": (loaded, "knockout", {"each": each, "n_draws": 0, "source": "audio"} | whole),
        "tokens": (loaded, "tokens", {"each": each}),
    }
    same = {"dataset": dataset, "n": n, "seed": seed, "out": out}
    return {
        name: study.table(analysis, of, **same, **options)
        for name, (of, analysis, options) in wanted.items()
        if (only is None or name in only) and (name != "probe" or dataset == "toybox")
    }


def claims(tables, seed=0) -> list:
    """Every `Claim` that the tables allow to judge, in the order of the chapters.

    Args:
        tables: from `measure`; some may be missing.
        seed: of the resampling.
    """
    about = {"fidelity": _said, "attention": _looks, "lens": _known, "probe": _told_apart, "patching": _taken}
    about |= {"knockout": _cut, "tokens": _deaf}
    found = [claim for name, judged in about.items() if name in tables for claim in judged(tables, seed)]
    found += _raised(tables, seed) if {"fidelity", "treated"} <= tables.keys() else []
    model = next((table["model"].iloc[0] for table in tables.values() if "model" in table), "the model")
    return [claim._replace(quantity=f"{model}: {claim.quantity}") for claim in found]


def compare(tables, seed=0) -> pd.DataFrame:
    """The same as texts: claim, verdict, here, control, the study, chapter."""
    rows = [
        (
            one.claim,
            one.verdict,
            show.told(one.here, signed=True, of=one.quantity) + f", {one.unit}",
            "–" if one.control is None else f"{one.control:+.2f}",
            one.paper,
            one.chapter,
        )
        for one in claims(tables, seed)
    ]
    return pd.DataFrame(rows, columns=["claim", "verdict", "here", "control", "the study", "chapter"], dtype=object)


def cuts(tables, seed=0) -> dict:
    """What two cuts do to fidelity of the sound on conflicting clips: answer, or sound, cut off from the picture.

    Args:
        tables: from `measure`, with "knockout" and "inside".
        seed: of the resampling.

    Returns:
        dict: "answer", "sound" and "answer - sound" (paired) -> `stats.Interval`.
    """
    answer, sound = (_moved(tables[name], "video") for name in ("knockout", "inside"))
    clusters = datasets.sources(answer.index)
    return {
        "answer": stats.interval(answer, seed, signed=True, clusters=clusters),
        "sound": stats.interval(sound[answer.index], seed, signed=True, clusters=clusters),
        "answer - sound": stats.difference(answer, sound[answer.index], seed, clusters=clusters),
    }


def decided(tables, seed=0) -> tuple:
    """What is left of the sound at its positions, and from where the answer takes its word, on conflicting clips.

    Args:
        tables: from `measure`, with "probe" and "patching".
        seed: of the resampling.

    Returns:
        A `probe.Verdict`, None without "probe"; and a `patches.Verdict`, or None (see there).
    """
    return (_probed(tables, seed) if "probe" in tables else None), _patched(tables, seed)


def _said(tables, seed):
    here = fidelity.as_published(tables["fidelity"], seed=seed)[DROP]
    published = paper.quantities()[DROP].value
    told = "On conflicting clips, it names the sound less well than on ordinary ones."
    yield Claim(told, DROP, f"{published:+.2f}", here, "fidelity", None, _like(here, -1), 2)
    alone, both = (fidelity.by_clip(tables["fidelity"], *_CONFLICT, inputs) for inputs in ("audio", "both"))
    gain = _gap(alone, both[alone.index], seed)
    told = "It could: of the same clips, from the sound alone, it names more."
    yield Claim(told, GAIN, "not measured", gain, "fidelity", None, ADDED if gain.low > 0 else _like(gain, 1), 2)


def _looks(tables, seed):
    here, shuffled = (
        attention.preference(tables[name]).groupby("clip")["value"].mean() for name in ("attention", "shuffled")
    )
    verdict = stats.verdict(here, shuffled, seed, clusters=datasets.sources(here.index))
    told = "Its answers look at the picture rather than at the sound, for the number of their positions."
    published = "late layers: 20 to 40 % to the picture, next to none to the sound"
    judged = _like(verdict.effect, -1) if verdict.stands else UNCLEAR
    unit = "preference of sound over picture (−1 to +1)"
    yield Claim(told, PREFERENCE, published, verdict.effect, unit, verdict.control.mean, judged, 3)


def _known(tables, seed):
    rows = tables["lens"].query("kind == 'counterfactual'").dropna(subset=["value", "null"]).set_index("clip")
    above = _gap(rows["value"], rows["null"], seed)
    published = f"{paper.quantities()['latent recall'].value:.2f}, without a control"
    told = "Inside, the positions that hold the sound name it, beyond what the sounds of other clips would get."
    unit = "latent recall above chance, by the one definition fixed beforehand"
    yield Claim(told, ABOVE, published, above, unit, None, _like(above, 1), 4)


def _probed(tables, seed):
    found = probe.recall(tables["probe"].query("kind == 'counterfactual'"), TOP_K)
    return probe.verdict(found, DEPTH, seed, datasets.sources(found["clip"].unique()))


def _told_apart(tables, seed):
    verdict = _probed(tables, seed).probe
    told = "Where the lens reads the picture at the positions of the sound, a probe still tells the sound from them."
    judged = ADDED if verdict.stands else UNCLEAR
    unit = "share named by the probe, last quarter of layers"
    yield Claim(told, PROBED, "not measured", verdict.effect, unit, verdict.control.mean, judged, 4)


def _patched(tables, seed):
    table = tables["patching"]
    return patches.verdict(table, seed=seed, clusters=datasets.sources(table["clip"].unique()))


def _taken(tables, seed):
    found = _patched(tables, seed)
    if found is None:
        return
    told = "Put in at its own positions, another clip's picture is named far more often than another clip's sound."
    judged = ADDED if found.claim == "picture" else UNCLEAR if found.claim in ("", "neither") else NO
    yield Claim(told, TAKEN, "not measured", found.apart, "share that is named, picture − sound", None, judged, 4)


def _cut(tables, seed):
    effect, control = (_moved(tables["knockout"], blocked) for blocked in ("video", changes.CONTROL + "video"))
    verdict = stats.verdict(effect, control[effect.index], seed, clusters=datasets.sources(effect.index))
    published = paper.quantities()["counterfactual audio fidelity, video blocked - baseline"].value
    told = "If the answer cannot look at the picture, the sound comes back."
    judged = _like(verdict.effect, 1) if verdict.stands else UNCLEAR
    yield Claim(told, RECOVERY, f"{published:+.2f}", verdict.effect, "fidelity", verdict.control.mean, judged, 5)


def _deaf(tables, seed):
    rows = tokens.by_group(tables["tokens"], seed).query("group == 'first of an event' and kind == 'counterfactual'")
    if rows.empty:
        return
    said = rows.assign(said=(rows["base_rank"] == 1).astype(float))
    said = said.groupby(["against", "clip"], sort=False)["said"].mean()
    with_picture, without = said["base model"], said["base, text only"]
    without = without[with_picture.index]
    published = f"{paper.quantities()['unshifted, audio tokens'].value:.2f} of such tokens"
    told = "A base that cannot hear would have begun to name the same sounds, from the picture."
    here = stats.interval(with_picture, seed)  # a level, over clips; the verdict is that of what the picture adds
    judged = _like(_gap(with_picture, without, seed), 1)
    yield Claim(told, UNSHIFTED, published, here, "share of first tokens", without.mean(), judged, 6)


def _raised(tables, seed):
    before, after = (fidelity.by_clip(tables[name], *_CONFLICT) for name in ("fidelity", "treated"))
    gain = _gap(after, before[after.index], seed)
    told = "The same model, with conflicting clips in its training, names the sound on conflicting clips."
    return [Claim(told, RAISED, "not measured", gain, "fidelity", None, ADDED if gain.low > 0 else _like(gain, 1), 8)]


def _gap(a, b, seed):
    """Of the same clips, how far one value lies above another; clips of one source are resampled together."""
    return stats.difference(a, b, seed, clusters=datasets.sources(a.index))


def _moved(table, blocked):
    """What a cut does to the same, by clip."""
    moved = changes.change(table[table["modality"] == "audio"])
    return moved[moved["blocked"] == blocked].set_index("clip")["value"]


def _like(found, sign):
    """Whether an effect has the sign that the study says."""
    return UNCLEAR if not (found.low > 0 or found.high < 0) else YES if found.mean * sign > 0 else NO
