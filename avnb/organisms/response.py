"""What the dose-response sweep says: curves, sentences, and a conclusion.

>>> from avnb.organisms.dose import results
>>> sorted(set(response(results())["quantity"]) - set(results()["quantity"]))
['shortcut index']
"""

import pandas as pd

from avnb import stats
from avnb.analyses import swap
from avnb.organisms.exam import EFFECTS
from avnb.organisms.recipes import ORDERS


def response(table, seed=0):
    """The dose-response of every order: means over clips and seeds, with bootstrap 95 % intervals over clips.

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
    means = stats.summarise(table, ["order", "quantity", "dose"], seed=seed)
    rows = []
    for (order, dose), some in table.groupby(["order", "dose"], sort=False):
        effects = some[some["quantity"].isin(EFFECTS)].pivot_table(index="clip", columns="quantity", values="value")
        found = stats.resampled(swap.index_of_means, effects[list(EFFECTS)].to_numpy(), seed=seed)
        rows.append((order, "shortcut index", dose, *found))
    return pd.concat([means, pd.DataFrame(rows, columns=means.columns)], ignore_index=True)


def by_seed(table):
    """The same means for every single organism. Returns DataFrame: order, quantity, dose, seed, value."""
    keys = ["order", "quantity", "dose", "seed"]
    means = table.groupby(keys, sort=False)["value"].mean().reset_index()
    wide = means[means["quantity"].isin(EFFECTS)].pivot(
        index=["order", "dose", "seed"], columns="quantity", values="value"
    )
    index = swap.index_of_means(wide[list(EFFECTS)].to_numpy()).tolist()
    rows = wide.reset_index()[["order", "dose", "seed"]].assign(quantity="shortcut index", value=index)
    return pd.concat([means, rows[[*keys, "value"]]], ignore_index=True)


def describe(table, measure="audio fidelity, counterfactual", seed=0):
    """What the sweep says about dose and order, in sentences of markdown with the numbers.

    A difference is called one if its interval over clips leaves out zero and all training seeds agree on its sign.

    Args:
        table: of `results`.
        measure: which one is talked about.
        seed: of the resampling.

    Example:
        >>> from avnb.organisms.dose import results
        >>> describe(results()).startswith("- **Without conflict**")
        True
    """
    rows = table[table["quantity"] == measure]
    lowest, highest = rows["dose"].min(), rows["dose"].max()
    value = rows.pivot_table(index="clip", columns=["order", "dose"], values="value")
    run = rows.groupby(["order", "dose", "seed"])["value"].mean()
    orders = [order for order in ORDERS if order in value]

    def level(order, dose):
        found = stats.interval(value[order, dose], seed)
        runs = run[order, dose]
        return f"{order} **{_text(found)}**, runs {runs.min():.2f} to {runs.max():.2f}"

    def compare(a, b):
        gap, runs = stats.difference(value[a], value[b], seed), run[a] - run[b]
        agrees = (runs > 0).all() if gap.mean > 0 else (runs < 0).all()
        return gap, bool(agrees and (gap.low > 0 or gap.high < 0))

    lines = [
        f"**Without conflict**, {measure} is: {'; '.join(level(order, lowest) for order in orders)}. With "
        f"{100 * highest:g} % conflicting clips: {'; '.join(level(order, highest) for order in orders)}. (Means; 95 % "
        f"intervals over {len(value)} clips; range over {rows['seed'].nunique()} training runs.)"
    ]
    for order in orders:
        gain, differs = compare((order, highest), (order, lowest))
        verb = ("rises" if gain.mean > 0 else "falls") if differs else "does not clearly change"
        lines.append(f"**Dose, {order}:** from none to {100 * highest:g} % it {verb}, {_text(gain, '+')}.")
    for order in orders[1:]:
        gap, differs = compare((order, lowest), (orders[0], lowest))
        verb = ("is above" if gap.mean > 0 else "is below") if differs else "cannot be told from"
        lines.append(f"**Order, without conflict:** {order} {verb} {orders[0]}, {_text(gap, '+')}.")
    return "\n".join(f"- {line}" for line in lines)


def conclusion(table, seed=0):
    """What the sweep says about the two halves of the claim, order and data, as sentences of markdown.

    Args:
        table: of `results`.
        seed: of the resampling.
    """
    measure = "modality preference"
    rows = table[table["quantity"] == measure]
    lowest, highest = rows["dose"].min(), rows["dose"].max()
    value = rows.pivot_table(index="clip", columns=["order", "dose"], values="value")
    order = stats.difference(value["vision first", lowest], value["audio first", lowest], seed)
    dose = stats.difference(value["vision first", highest], value["vision first", lowest], seed)
    level = stats.interval(value["vision first", lowest], seed)
    return (
        f"**Order.** That what is learnt first wins is {_supported(-order.high, -order.low)} here: without conflict in "
        f"training, {measure} is {_text(order, '+')}, vision first minus audio first.\n\n"
        f"**Data.** That clips without conflict leave the bias in place is {_supported(-level.high, -level.low)}: "
        f"after them, vision first has {_text(level, '+')}, where below zero is the picture. That conflicting clips "
        f"work against it is {_supported(dose.low, dose.high)}: {_text(dose, '+')} with {100 * highest:g} % of them."
    )


def _text(found, sign=""):
    return f"{found.mean:{sign}.2f} ({found.low:{sign}.2f} to {found.high:{sign}.2f})"


def _supported(low, high):
    """In words, whether an interval says that something is above zero."""
    return "**supported**" if low > 0 else "**contradicted**" if high < 0 else "**left open**"
