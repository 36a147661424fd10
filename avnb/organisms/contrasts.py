"""What replicas of an upbringing agree on: order, what was learnt before, conflict, and the amount of sound.

>>> list(CONTRASTS)[:2]
['what was learnt before', 'pictures before']
"""

import pandas as pd

from avnb import datasets, stats

RUN = ["order", "dose", "seed"]  # what tells the organisms of the sweep (`dose.results`) apart
FOLLOWS = 0.9  # share of answers about what was asked, from which on an organism follows its questions
PREFERENCE = "modality preference"
_FOLLOWED = " question followed, "
CONTRASTS = {  # name -> (arm, minus arm, in words)
    "what was learnt before": ("audio first", "vision first", "sounds alone before, minus pictures alone before"),
    "pictures before": ("vision first", "from scratch", "pictures alone before, minus nothing before"),
    "order": ("vision, then audio", "audio, then vision", "sounds learnt last, minus pictures learnt last"),
    "sounds as well": (
        "audio, then vision",
        "vision first",
        "sounds alone before the pictures, minus pictures alone; asked after the others were seen",
    ),
    "conflict, vision first": ("vision first, conflict", "vision first", "with conflicting clips, minus without"),
    "conflict, audio first": ("audio first, conflict", "audio first", "with conflicting clips, minus without"),
    "amount of sound": ("vision first, many sounds", "vision first, few sounds", "many sounds alone, minus few"),
}


def followed(table, by) -> pd.Series:
    """Of every organism, the lowest share of answers about what was asked, over both questions and both kinds of clips.

    Args:
        table: of `upbringing.results` or `dose.results`.
        by: its columns that tell organisms apart.

    Example:
        >>> from avnb.organisms import upbringing
        >>> bool((followed(upbringing.results(), ["arm", "seed"]) >= FOLLOWS).all())
        True
    """
    rows = table[table["quantity"].str.contains(_FOLLOWED)]
    return rows.groupby([*by, "quantity"], sort=False)["value"].mean().groupby([*by], sort=False).min()


def following(table, by) -> pd.DataFrame:
    """The part of a table that is of organisms which answer what they are asked, at least `FOLLOWS` of it.

    Args:
        table, by: as in `followed`.
    """
    share = followed(table, by)
    return table[pd.MultiIndex.from_frame(table[by]).isin(share.index[share >= FOLLOWS])]


def organisms(table) -> pd.DataFrame:
    """Every organism of the replicas, and whether it answers what it is asked.

    Args:
        table: of `upbringing.results`.

    Returns:
        DataFrame: arm, seed, hearing and seeing (fidelity to sound and picture of conflicting clips), preference (from
        -1, the picture, to 1, the sound), followed (see `followed`), follows (whether it is at least `FOLLOWS`).
    """
    means = table.pivot_table(index=["arm", "seed"], columns="quantity", values="value", sort=False)
    share = followed(table, ["arm", "seed"])
    columns = {
        "hearing": means["audio fidelity, counterfactual"],
        "seeing": means["video fidelity, counterfactual"],
        "preference": means[PREFERENCE],
        "followed": share,
        "follows": share >= FOLLOWS,
    }
    return pd.DataFrame(columns).reset_index()


def contrasts(table, seed=0, of=CONTRASTS) -> pd.DataFrame:
    """Differences in modality preference between arms of the same replica.

    Args:
        table: of `upbringing.results`.
        seed: of the resampling.
        of: name -> (arm, minus arm, in words).

    Returns:
        DataFrame: contrast (a key of `of`), replica, mean, low, high, n (clips), follows (whether both organisms
        answer what they are asked; the others say nothing about a preference).
    """
    follows = organisms(table).set_index(["arm", "seed"])["follows"]
    values = table[table["quantity"] == PREFERENCE].pivot_table(index="clip", columns=["arm", "seed"], values="value")
    rows = []
    for name, (arm, minus, _) in of.items():
        for replica in sorted(table["seed"].unique()):
            pair = [(arm, replica), (minus, replica)]
            if all(one in values for one in pair):
                clusters = datasets.sources(values.index)
                found = stats.difference(values[pair[0]], values[pair[1]], seed, clusters=clusters)
                rows.append((name, replica, *found, bool(all(follows[one] for one in pair))))
    return pd.DataFrame(rows, columns=["contrast", "replica", *stats.Interval._fields, "follows"])


def verdict(rows) -> str:
    """What the replicas of a contrast agree on, in words.

    A contrast is called supported if in every replica whose organisms follow their questions, and in two at least, the
    interval leaves out zero on the same side.

    Args:
        rows: of one contrast, from `contrasts`.

    Example:
        >>> rows = pd.DataFrame({"low": [0.2, 0.1], "high": [0.4, 0.3], "follows": True})
        >>> verdict(rows)
        '**towards the sound** in all 2 replicas that follow their questions'
    """
    used = rows[rows["follows"]]
    sides = {1 if row.low > 0 else -1 if row.high < 0 else 0 for row in used.itertuples()}
    if rows.empty:
        return "**not measured here**"
    if len(used) < 2:
        return f"**not decided**: {len(used)} of {len(rows)} replicas follow their questions, and it takes two"
    if sides == {1}:
        return f"**towards the sound** in all {len(used)} replicas that follow their questions"
    if sides == {-1}:
        return f"**towards the picture** in all {len(used)} replicas that follow their questions"
    return f"**not decided**: of {len(used)} replicas that follow their questions, not all leave out zero on one side"


def sentences(found, of=CONTRASTS) -> str:
    """What the replicas agree on, contrast by contrast, as a list of markdown.

    Args:
        found: of `contrasts`.
        of: what it was called with.
    """
    lines = []
    for name, (_, _, words) in of.items():
        rows = found[found["contrast"] == name]
        each = "; ".join(
            f"{row.mean:+.2f} ({row.low:+.2f} to {row.high:+.2f})" + ("" if row.follows else ", questions not followed")
            for row in rows.itertuples()
        )
        about = f" {each}; n = {rows['n'].iloc[0]} clips each." if len(rows) else ""
        lines.append(f"- **{name[0].upper() + name[1:]}** ({words}): {verdict(rows)}.{about}")
    return "\n".join(lines)


def seen_and_heard(sweep, replicas) -> str:
    """What organisms raised without conflict say they see and hear, by what they learnt first, as markdown.

    Args:
        sweep: of `dose.results`.
        replicas: of `upbringing.results`.

    Example:
        >>> from avnb.organisms import dose, upbringing
        >>> seen_and_heard(dose.results(), upbringing.results()).split(" say ")[0]
        'Without conflict in training, those raised on pictures'
    """
    none = following(sweep[sweep["dose"] == sweep["dose"].min()], RUN)
    pictures, sounds = (
        {
            sense: stats.interval(
                none[(none["order"] == order) & (none["quantity"] == f"{sense} fidelity, counterfactual")]
                .groupby("clip")["value"]
                .mean()
            )
            for sense in ("video", "audio")
        }
        for order in ("vision first", "audio first")
    )
    apart = pictures["video"].low > pictures["audio"].high and sounds["audio"].low > sounds["video"].high
    seen, heard, also_seen, also_heard = (
        f"{found.mean:.2f} ({found.low:.2f} to {found.high:.2f})" for found in (*pictures.values(), *sounds.values())
    )
    leans = replicas[replicas["quantity"] == PREFERENCE]

    def leaning(arm, sign):
        of_replicas = [some.set_index("clip")["value"] for _, some in leans[leans["arm"] == arm].groupby("seed")]
        found = [
            stats.interval(sign * some, signed=True, clusters=datasets.sources(some.index)).low for some in of_replicas
        ]
        return f"{sum(low > 0 for low in found)} of {len(found)}"

    return (
        f"Without conflict in training, those raised on pictures say what they see with a fidelity of {seen} and what "
        f"they hear with {heard}; those raised on sounds, {also_seen} and {also_heard} (n = {none['clip'].nunique()} "
        f"clips, {none['seed'].nunique()} runs of the last stage each, which share their encoders and first stage)"
        + (": *raised on pictures it hears what it sees, raised on sounds it sees what it hears.* " if apart else ". ")
        + "Over replicas of the whole upbringing, of which no stage is shared, answers about the sound lean to the "
        f"picture in {leaning('vision first', -1)} of those raised on pictures, to the sound in "
        f"{leaning('audio first', 1)} of those raised on sounds (95 % intervals of modality preference that leave out "
        f"zero, n = {replicas['clip'].nunique()} clips in conflict)."
    )
