"""What the dose-response sweep says: curves, sentences, and a conclusion.

An organism that answers about the sound whatever it is asked does not prefer the sound: it does not listen to the
question. What is said of dose and order rests on those that answer what they are asked; the others are named.

>>> from avnb.organisms.dose import results
>>> sorted(set(response(results())["quantity"]) - set(results()["quantity"]))
['shortcut index']
"""

import numpy as np
import pandas as pd

from avnb import datasets, stats
from avnb.analyses import swap
from avnb.organisms.contrasts import FOLLOWS, RUN, followed, following
from avnb.organisms.exam import EFFECTS
from avnb.organisms.recipes import ORDERS

_WORDS = {
    "audio fidelity, counterfactual": "fidelity of what is said to be heard, conflicting clips,",
    "video fidelity, counterfactual": "fidelity of what is said to be seen, conflicting clips,",
    "audio fidelity, factual": "fidelity of what is said to be heard",
    "video fidelity, factual": "fidelity of what is said to be seen",
}


def response(table, seed=0):
    """The dose-response of every order: means over clips and runs that follow, with bands over both (`stats.crossed`).

    Args:
        table: of `results`.
        seed: of the resampling.

    Returns:
        DataFrame: order, quantity, dose, mean, low, high, n (clips). The quantity "shortcut index" is that of the mean
        effects (`swap.shortcut_index`).

    Example:
        >>> from avnb.organisms.dose import results
        >>> response(results())["order"].nunique()
        3
    """
    rows = []
    for (order, dose), some in following(table, RUN).groupby(["order", "dose"], sort=False):
        grids = {
            name: part.pivot(index="seed", columns="clip", values="value").to_numpy()
            for name, part in some.groupby("quantity", sort=False)
        }
        rows += [(order, name, dose, *stats.crossed(grid, seed=seed)) for name, grid in grids.items()]
        effects = np.stack([grids[name] for name in EFFECTS], axis=-1)
        index = stats.crossed(effects, swap.index_of_means, seed)
        rows.append((order, "shortcut index", dose, *index))
    return pd.DataFrame(rows, columns=["order", "quantity", "dose", *stats.Interval._fields])


def by_seed(table):
    """The same means for every single organism.

    Args:
        table: of `results`.

    Returns:
        DataFrame: order, quantity, dose, seed, value, follows (whether the organism answers what it is asked).
    """
    keys = ["order", "quantity", "dose", "seed"]
    means = table.groupby(keys, sort=False)["value"].mean().reset_index()
    wide = means[means["quantity"].isin(EFFECTS)].pivot(index=RUN, columns="quantity", values="value")
    index = swap.index_of_means(wide[list(EFFECTS)].to_numpy()).tolist()
    rows = wide.reset_index()[RUN].assign(quantity="shortcut index", value=index)
    follows = (followed(table, RUN) >= FOLLOWS).rename("follows").reset_index()
    return pd.concat([means, rows[[*keys, "value"]]], ignore_index=True).merge(follows, on=RUN)


def describe(table, measure="audio fidelity, counterfactual", seed=0):
    """What the sweep says about dose and order, in sentences of markdown with the numbers.

    A difference is called one if its interval over clips leaves out zero and all training seeds agree on its sign, of
    organisms that answer what they are asked, two at least. An order of which none does, at the lowest or the highest
    dose, is left out.

    Args:
        table: of `results`.
        measure: which one is talked about.
        seed: of the resampling.

    Example:
        >>> from avnb.organisms.dose import results
        >>> describe(results()).startswith("- **Without conflict**")
        True
    """
    value, run, lowest, highest = _cells(table, measure)
    orders = [order for order in ORDERS if {(order, lowest), (order, highest)} <= {*value}]

    def level(order, dose):
        found = stats.interval(value[order, dose], seed)
        runs = run[order, dose]
        return f"{order} **{_text(found)}**, runs {runs.min():.2f} to {runs.max():.2f}"

    def compare(a, b):
        gap = _gap(value[a], value[b], seed)
        return gap, _agreed(gap, run[a] - run[b]) != 0

    lines = [
        f"**Without conflict**, {_WORDS.get(measure, measure)} is: "
        f"{'; '.join(level(order, lowest) for order in orders)}. With {100 * highest:g} % conflicting clips: "
        f"{'; '.join(level(order, highest) for order in orders)}. (Means; 95 % intervals over {len(value)} clips; "
        f"range over {run.index.get_level_values('seed').nunique()} training runs.)"
    ]
    for order in orders:
        gain, differs = compare((order, highest), (order, lowest))
        verb = ("rises" if gain.mean > 0 else "falls") if differs else "does not clearly change"
        lines.append(f"**Dose, {order}:** from none to {100 * highest:g} % it {verb}, {_text(gain, '+')}.")
    for order in orders[1:]:
        gap, differs = compare((order, lowest), (orders[0], lowest))
        verb = ("is above" if gap.mean > 0 else "is below") if differs else "cannot be told from"
        lines.append(f"**What was learnt before, without conflict:** {order} {verb} {orders[0]}, {_text(gap, '+')}.")
    return "\n".join(f"- {line}" for line in lines)


def questions_followed(table) -> str:
    """How many organisms answer what they are asked, and which do not, as markdown.

    Args:
        table: of `results`.
    """
    share = followed(table, RUN)
    astray = share[share < FOLLOWS]
    told = f"**Questions followed.** {len(share) - len(astray)} of {len(share)} organisms answer what they are asked"
    if astray.empty:
        least = f"at least **{share.min():.2f}** of the answers of each, to each question, are about what was asked"
        return f"{told} ({least})."
    each = "; ".join(
        f"{order}, {100 * dose:g} %, seed {seed}: **{answers:.2f}**" for (order, dose, seed), answers in astray.items()
    )
    return (
        f"{told}. Of the others too few answers to one of the questions are about what was asked ({each}): what these "
        "name in conflicting clips is no bias. They are hollow in the figures, and in no line, band or sentence."
    )


def _cells(table, measure):
    """Of organisms that follow: values by clip, order and dose, means by run; the lowest and the highest dose."""
    rows = following(table, RUN)
    rows = rows[rows["quantity"] == measure]
    value = rows.pivot_table(index="clip", columns=["order", "dose"], values="value")
    return value, rows.groupby(RUN)["value"].mean(), table["dose"].min(), table["dose"].max()


def _gap(a, b, seed):
    """Of the same clips, how far one value lies above another; clips of one source are resampled together."""
    return stats.difference(a, b, seed, clusters=datasets.sources(a.index))


def conclusion(table, seed=0):
    """What the sweep says about the claim, as sentences of markdown.

    A claim is left open unless its interval over clips leaves out zero and all training runs lie on that side, of
    organisms that answer what they are asked, two at least.

    Args:
        table: of `results`.
        seed: of the resampling.
    """
    measure = "modality preference"
    value, run, lowest, highest = _cells(table, measure)
    bare, taught, sounds = ("vision first", lowest), ("vision first", highest), ("audio first", lowest)
    if missing := [
        f"{order}, {100 * share:g} %" for order, share in (bare, taught, sounds) if (order, share) not in value
    ]:
        return f"**Left open**: of {'; '.join(missing)} no organism answers what it is asked."
    before, dose = _gap(value[bare], value[sounds], seed), _gap(value[taught], value[bare], seed)
    level = stats.interval(value[bare], seed, signed=True, clusters=datasets.sources(value.index))
    each = ((before, -1, run[bare] - run[sounds]), (level, -1, run[bare]), (dose, 1, run[taught] - run[bare]))
    leans, stays, works = (_supported(found, sign, runs) for found, sign, runs in each)
    return (
        "**What was learnt before.** That an organism leans to the modality which it was taught alone before is "
        f"{leans} here: without conflict in training, {measure} is "
        f"{_text(before, '+')}, pictures before minus sounds before. This says nothing of *order*: the two differ in "
        "what they were taught, not only in when.\n\n"
        f"**Data.** That clips without conflict leave the bias in place is {stays}: "
        f"after them, vision first has {_text(level, '+')}, where below zero is the picture. That conflicting clips "
        f"work against it is {works}: {_text(dose, '+')} with {100 * highest:g} % of them."
    )


def _text(found, sign=""):
    return f"{found.mean:{sign}.2f} ({found.low:{sign}.2f} to {found.high:{sign}.2f})"


def _supported(found, sign, runs):
    """In words, whether something lies on this side of zero."""
    side = _agreed(found, runs)
    return "**left open**" if not side else "**supported**" if side == sign else "**contradicted**"


def _agreed(found, runs):
    """1 or -1 where an interval over clips and the means of all runs, two at least, lie above or below zero, else 0."""
    runs, side = runs.dropna(), int(found.low > 0) - int(found.high < 0)
    return side if len(runs) > 1 and (np.sign(runs) == side).all() else 0
