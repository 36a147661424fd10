"""Pieces of a page that answer without a kernel: what they show was measured before, and is in the page.

A piece is a section of HTML: a figure that does not move and a table, for paper and for those without scripts, its data
as JSON, and one script that needs no library. All its controls are the browser's own, so that a keyboard and a finger
reach them; what they are set to stands in the address of the page, behind `#`, so that a link shows the same to another
reader.

>>> rows = pd.DataFrame({"order": "audio first", "dose": 0.1, "seed": 0, "clip": ["0", "1"], "value": [0.5, 1.0]})
>>> table = pd.concat([rows.assign(quantity=quantity) for quantity in RUN])
>>> "audio first" in raise_one(table).data
True
"""

import base64
import html
import io
import json
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from PIL import Image
from scipy.signal import ShortTimeFFT

from avnb import show
from avnb.errors import AvnbError
from avnb.show import stills

_FOLDER = Path(__file__).parent / "pieces"
_RATE = 16_000  # Hz
RUN = {  # what is told of one organism: quantity, as `organisms.dose.results` names it, and a short name
    "video fidelity, counterfactual": "sees",
    "audio fidelity, counterfactual": "hears",
    "video fidelity, factual": "sees, own sound",
    "audio fidelity, sound alone": "hears, sound alone",
}
_MOST_LAYERS, _MOST_MOMENTS = 18, 50  # of `read_its_mind`
CUTS = {
    "video": "the picture",
    "audio": "the sound",
    "query": "the question",
    "control: video": "as many positions at random",
}
KINDS = {"heard": "names what is heard", "seen": "names what is seen", "both": "names both", "neither": "names neither"}


class PieceError(AvnbError):
    """What a piece is made of lacks something that it shows."""


def kind(named, seen, heard):
    """What an answer goes by: "heard", "seen", "both" or "neither".

    Args:
        named: the events that the answer names.
        seen, heard: the events in the picture, and in the sound.

    Example:
        >>> kind(["cow"], seen=["helicopter"], heard=["cow"])
        'heard'
    """
    hears, sees = (not set(events).isdisjoint(named) for events in (heard, seen))
    return "both" if hears and sees else "heard" if hears else "seen" if sees else "neither"


def close_its_eyes(clip, answers, named):
    """One clip and one switch: the answer with the picture, and without it.

    Args:
        clip: a clip that shows one thing and sounds like another, with known events.
        answers: (with the picture, from the sound alone), both to the question what is heard.
        named: the events that each of the two names.

    Returns:
        IPython.display.HTML.
    """
    kinds = [kind(events, clip.seen, clip.heard) for events in named]
    states = ("with its picture", "from its sound alone")
    rows = pd.DataFrame({"given the clip": states, "it says": answers, "and": [KINDS[one] for one in kinds]})
    data = {
        "clip": _media(clip),
        "seen": list(clip.seen),
        "heard": list(clip.heard),
        "answers": [{"text": text, "kind": one} for text, one in zip(answers, kinds, strict=True)],
    }
    picture = f'<img src="{data["clip"]["poster"]}" alt="{html.escape(show.about(clip), quote=True)}">'
    label = "One clip with a switch for its picture"
    return _piece("close-its-eyes", label, data, picture, rows, "One clip, asked twice")


def swap_the_sound(clips, answers):
    """Every picture with every sound: guess what the models say, then look.

    Args:
        clips: {event: clip}, of each event one clip that shows it and sounds like it.
        answers: DataFrame: picture, sound (events), model, answer, named (events), as from `organisms.crossed`.

    Returns:
        IPython.display.HTML.

    Raises:
        PieceError: a pair of picture and sound has no answer of a model.
    """
    models, events = list(dict.fromkeys(answers["model"])), list(clips)
    found = {
        (row.model, row.picture, row.sound): {"text": row.answer, "kind": kind(row.named, [row.picture], [row.sound])}
        for row in answers.itertuples()
    }
    for key in product(models, events, events):
        if key not in found:
            raise PieceError("no answer of {} to the picture of {} with the sound of {}; ask it".format(*key))
    rows = [
        (model, len(events) ** 2 - len(events), *(said.count(one) for one in KINDS))
        for model in models
        for said in [[found[model, a, b]["kind"] for a, b in product(events, events) if a != b]]
    ]
    data = {
        "clips": {event: _media(clip) for event, clip in clips.items()},
        "answers": {model: [[found[model, a, b] for b in events] for a in events] for model in models},
    }
    still = pd.DataFrame(rows, columns=["model", "swapped clips", *KINDS.values()])
    label = "Swap the sound: choose a picture and a sound, and guess what the models say"
    kinds = {model: [[cell["kind"] for cell in row] for row in data["answers"][model]] for model in models}
    picture = stills.grids({model: (events, events, kinds[model]) for model in models})
    caption = "What they say they hear when the sound is swapped"
    return _piece("swap-the-sound", label, data, picture, still, f"{caption}; rows are pictures, columns sounds")


def look_away(clips, answers, scores):
    """Cut the answer off from picture, sound or question in any span of layers, and read what it says then.

    Args:
        clips: clips with one sound and another picture, with known events.
        answers: DataFrame: clip, blocked, start, stop (layers, stop exclusive), answer, named (events); "nothing" is
            the uncut answer, of which start and stop do not matter, and every cut has every span between the layers
            that any span begins or ends at.
        scores: DataFrame: clip, blocked, start, stop, quantity ("right", "distractor"), value (log-probability, nats).

    Returns:
        IPython.display.HTML.

    Raises:
        PieceError: a cut lacks a span.
    """
    cuts = [name for name in dict.fromkeys(answers["blocked"]) if name != "nothing"]
    edges = sorted({*answers.loc[answers["blocked"] != "nothing", ["start", "stop"]].to_numpy().ravel().tolist()})
    spans = list(combinations(edges, 2))
    said = answers.drop_duplicates(["clip", "blocked", "start", "stop"])
    moved = scores[scores["quantity"].isin(["right", "distractor"])]
    moved = moved.groupby(["clip", "blocked", "start", "stop", "quantity"])["value"].mean().unstack()
    known, rows = [], []
    for clip in clips:
        cells = {}
        for row in said[said["clip"] == clip.id].itertuples():
            key = (clip.id, row.blocked, row.start, row.stop)
            cells[row.blocked, row.start, row.stop] = {
                "text": row.answer,
                "kind": kind(row.named, clip.seen, clip.heard),
                "right": round(float(moved.loc[key, "right"]), 2),
                "distractor": round(float(moved.loc[key, "distractor"]), 2),
            }
        free = next((cell for (blocked, *_), cell in cells.items() if blocked == "nothing"), None)
        if free is None:
            raise PieceError(f"clip {clip.id} has no answer with nothing blocked; add that condition")
        for cut, span in product(cuts, spans):
            if (cut, *span) not in cells:
                raise PieceError(f"clip {clip.id}, {cut} blocked: no answer for layers {span[0]} to {span[1] - 1}")
        by_cut = {cut: {f"{a}-{b}": cells[cut, a, b] for a, b in spans} for cut in cuts}
        known.append({**_media(clip), "seen": list(clip.seen), "heard": list(clip.heard), "free": free, "cuts": by_cut})
        about = f"seen: {', '.join(clip.seen)}; heard: {', '.join(clip.heard)}"
        rows.append((about, "nothing", free["text"]))
        rows += [(about, CUTS.get(cut, cut), cells[cut, edges[0], edges[-1]]["text"]) for cut in cuts]
    data = {
        "clips": known,
        "cuts": {cut: CUTS.get(cut, cut) for cut in cuts},
        "edges": edges,
        "conditions": 1 + len(cuts) * len(spans),
    }
    still = pd.DataFrame(rows, columns=["clip", "blocked in all layers", "it says it hears"])
    label = "Look away: block picture, sound or question in a span of layers"
    layers = edges[:-1], [edge - 1 for edge in edges[1:]]  # in which spans begin, and end
    first = known[0]["cuts"]
    picture = stills.grids(
        {
            f"{CUTS.get(cut, cut)} blocked": (
                *layers,
                [[by[f"{a}-{b}"]["kind"] if a < b else "" for b in edges[1:]] for a in edges[:-1]],
            )
            for cut, by in first.items()
        }
    )
    caption = (
        "What is said when something is blocked: in the figure, of the first clip, in every span from a layer (row) to"
    )
    return _piece("look-away", label, data, picture, still, f"{caption} a layer (column); in the table, in all layers")


def read_its_mind(clips, table):
    """What the positions of the sound would say after every layer, with the picture there and without.

    Args:
        clips: clips with one sound and another picture, with known events.
        table: DataFrame: clip, eyes ("open" or "closed"), layer, position, rank (1 is the most probable), token,
            probability, named (events that the token names); as from `lens.decode`, with three columns more. The
            positions are those of the sound, and share its time evenly.

    Of a deep decoder and a long sound, as many layers and moments are shown as a page has room for, evenly spread; the
    last layer always, and of all clips as many moments.

    Returns:
        IPython.display.HTML.

    Raises:
        PieceError: a clip was read with eyes open or closed alone.
    """
    known, rows = [], []
    layers = _spread(table["layer"].unique(), _MOST_LAYERS)
    n_moments = min(_MOST_MOMENTS, *table.groupby(["clip", "eyes"])["position"].nunique())
    for clip in clips:
        some, read = table[(table["clip"] == clip.id) & table["layer"].isin(layers)], {}
        for eyes in ("open", "closed"):
            one = some[some["eyes"] == eyes].sort_values(["layer", "position", "rank"])
            if one.empty:
                raise PieceError(f"clip {clip.id} was not read with eyes {eyes}; add those rows")
            # Without the picture the prompt is shorter, and the same moment lies at another position.
            one = one[one["position"].isin(_spread(one["position"].unique(), n_moments))]
            words = [
                [token, round(float(probability), 3), kind(named, clip.seen, clip.heard)]
                for token, probability, named in zip(one["token"], one["probability"], one["named"], strict=True)
            ]
            size = one["layer"].nunique(), one["position"].nunique(), one["rank"].nunique()
            read[eyes] = {"size": size, "words": words}
            last = one[(one["layer"] == one["layer"].max()) & (one["rank"] == 1)]["token"]
            rows.append((show.about(clip), eyes, " ".join(dict.fromkeys(last))))
        wave = clip.wave(_RATE)
        spectrum = {"src": _spectrogram(wave), "seconds": len(wave) / _RATE}
        known.append({**_media(clip), "seen": list(clip.seen), "heard": list(clip.heard), "sound": spectrum, **read})
    still = pd.DataFrame(rows, columns=["clip", "eyes", "most probable words after the last layer"])
    label = "Read its mind: the words at every moment of the sound, layer by layer"
    data = {"clips": known, "layers": [int(layer) for layer in layers]}
    looks = {"open": "with the picture", "closed": "eyes closed"}
    picture = stills.grids(
        {looks[eyes]: (data["layers"], range(n_moments), _naming(**known[0][eyes])) for eyes in looks}
    )
    caption = "What the positions of the sound would say: in the figure, of the first clip, layers (rows) by moments"
    return _piece("read-its-mind", label, data, picture, still, caption)


def raise_one(table):
    """Choose an upbringing, and see where such organisms lie between seeing and hearing.

    Args:
        table: DataFrame: order, dose (share of conflicting clips), seed, quantity, clip, value, as from
            `organisms.dose.results`.

    Returns:
        IPython.display.HTML.

    Raises:
        PieceError: a quantity of `RUN` is missing.
    """
    if missing := [name for name in RUN if name not in set(table["quantity"])]:
        raise PieceError(f"the table lacks {', '.join(missing)}; hand over that of organisms.dose.results()")
    runs = means(table)
    n_clips = table["clip"].nunique()
    data = {
        "runs": runs.to_dict("records"),
        "marks": stills.marks(runs["order"]),
        "orders": list(dict.fromkeys(runs["order"])),
        "doses": sorted(float(dose) for dose in runs["dose"].unique()),
        "clips": n_clips,
    }
    still = runs.groupby(["order", "dose"], sort=False)[list(RUN.values())].mean().reset_index()
    still["dose"] = [f"{100 * dose:g} %" for dose in still["dose"]]
    caption = f"Fidelity of {len(runs)} organisms, means over {n_clips} clips; in the table, over runs too"
    label = "Raise one yourself: choose the order of training and the share of conflict"
    picture = stills.plane(data["runs"])
    return _piece("raise-one", label, data, picture, still.rename(columns={"dose": "conflict"}), caption)


def means(table) -> pd.DataFrame:
    """The organisms of `raise_one`: order, dose, seed, and what each does (`RUN`), means over clips."""
    runs = table[table["quantity"].isin(list(RUN))]
    runs = runs.pivot_table(index=["order", "dose", "seed"], columns="quantity", values="value", sort=False)
    return runs[list(RUN)].set_axis(list(RUN.values()), axis=1).round(3).reset_index()


def how_many_clips(values, truth="all of them"):
    """Draw n clips again and again, and see how far their mean and its interval jump.

    Args:
        values: {name: values in 0..1, one per clip}.
        truth: what the mean over all values is called.

    Returns:
        IPython.display.HTML.

    Raises:
        PieceError: values are missing, or there are none.
    """
    for name, some in values.items():
        if not len(some) or pd.isna(some).any():
            raise PieceError(f"{name}: {len(some)} values, {int(pd.isna(some).sum())} of them missing; drop those")
    data = {"values": {name: [round(float(v), 3) for v in some] for name, some in values.items()}, "truth": truth}
    rows = [(name, len(some), sum(map(float, some)) / len(some)) for name, some in values.items()]
    still = pd.DataFrame(rows, columns=["what", "clips", "mean"])
    label = "How many clips until you believe it? Draw some, and see how the mean jumps"
    return _piece(
        "how-many-clips",
        label,
        data,
        stills.jumps(values),
        still,
        "Means of the first few clips and of all, with 95 % intervals; in the table, of all",
    )


def _naming(size, words):
    """By layer and moment, what the first word goes by that names what is seen or heard."""
    layers, moments, ranks = size
    kinds = [kind for *_, kind in words]
    cells = [kinds[i : i + ranks] for i in range(0, len(kinds), ranks)]
    told = [next((kind for kind in cell if kind != "neither"), "neither") for cell in cells]
    return [told[i * moments : (i + 1) * moments] for i in range(layers)]


def _piece(name, label, data, picture, still, caption):
    """One piece of a page. The JSON may hold captions of anyone's clips, so that nothing in it can end the script."""
    from IPython.display import HTML

    read = {file: (_FOLDER / file).read_text(encoding="utf8") for file in ("piece.css", "piece.js", f"{name}.js")}
    style, common, own = read.values()
    content = json.dumps(data | {"words": KINDS}, ensure_ascii=False).replace("<", "\\u003c")
    return HTML(
        f'<section class="avnb-piece" data-piece="{name}" aria-label="{html.escape(label, quote=True)}">'
        f"<style>{style}</style>"
        f'<div class="avnb-still"><figure>{picture}</figure>{show.table(still, caption).data}</div>'
        f'<script type="application/json">{content}</script>'
        f'<script>(() => {{\n"use strict";\nconst PIECE = "{name}";\n{common}\n{own}\n}})();</script></section>'
    )


def _spread(values, most):
    """At most so many of some values, in order and evenly spread, with the last one."""
    values = np.sort(values)
    return values[np.linspace(len(values) - 1, 0, min(most, len(values))).round().astype(int)[::-1]]


def _spectrogram(wave):
    """A sound as a picture of its power over time and frequency, 70 dB deep; the address of an image."""
    power = ShortTimeFFT.from_window("hann", _RATE, 512, 384, scale_to="magnitude").spectrogram(wave)
    decibels = 10 * np.log10(power / max(power.max(), 1e-12) + 1e-8)
    image = Image.fromarray(colormaps["magma"](np.clip(decibels[::-1] / 70 + 1, 0, 1), bytes=True)[..., :3])
    with io.BytesIO() as file:
        image.resize((400, 100)).save(file, "JPEG", quality=80)
        return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _media(clip):
    return {"src": show.source(clip), "poster": show.poster(clip)}
