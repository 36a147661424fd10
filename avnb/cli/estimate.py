"""What a measurement will take: `avnb estimate`."""

from importlib import import_module
from typing import Annotated

import typer

from avnb.analyses import ANALYSES
from avnb.cli import output
from avnb.cli.output import OPTIONS, Data, Json, N, Seed, Settings, completed, organisms


def estimate(
    analysis: Annotated[
        str, typer.Argument(help=f"One of {', '.join(ANALYSES)}.", autocompletion=completed(ANALYSES.keys))
    ],
    models: Annotated[
        str,
        typer.Option(help=f"Models, with commas between them; {OPTIONS}.", autocompletion=completed(organisms)),
    ],
    data: Data = "toybox",
    n: N = None,
    seed: Seed = 0,
    timed: Annotated[int, typer.Option(min=1, help="How many clips to measure for it.")] = 3,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="How many will share the clips, on devices like this one; one is started to time it."),
    ] = None,
    prices: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="IN OUT", help="What the judge takes for a million tokens in, and out."),
    ] = None,
    options: Settings = None,
    json: Json = False,
):
    """Tell what a measurement will take: time, memory, and requests to a judge with their cost.

    A few clips are measured for it; nothing is kept but a judge's verdicts.

    Example: `avnb estimate knockout --models Qwen/Qwen2.5-Omni-3B --data clips/manifest.jsonl --workers 8`
    """
    from avnb import analyses
    from avnb.study import notebooks as batch
    from avnb.study.estimate import estimate as estimated

    known, _ = analyses.find(analysis)
    given = output.settings(options)
    clips = import_module(known.clips).load(data, n=400 if n is None and data == "toybox" else n, seed=seed)
    asked = {"n_timed": timed, "workers": workers, "prices": prices, "seed": seed}
    found = [estimated(analysis, name, clips, **asked, **given)._asdict() for name in batch.names_in(models)]
    rows = [{key: None if value != value else value for key, value in row.items()} for row in found]
    output.show(rows, json, [_table(row, workers) for row in rows])


def _table(row, workers):
    from avnb.engine.needs import in_words

    how = f"with {workers} worker{'s' if workers > 1 else ''}" if workers else "in one process"
    first = "starting and loading" if workers else "loading"
    lines = {
        "jobs": f"{row['jobs']}, {row['timed']} of them measured for this",
        "a job": f"{row['each']:.2f} s",
        f"all, {how}": f"{in_words(row['seconds'])}, of which {first} {in_words(row['load'])}",
        "memory of the weights": f"{row['weights'] / 1e9:.2f} GB",
        "memory of a prompt and its answer": f"{row['prompt'] / 1e9:.2f} GB",
        "memory of each further condition": f"{row['condition'] / 1e9:.3f} GB",
        "requests to the judge": f"{row['requests']:,.0f}",
    }
    if row["requests"]:
        lines["tokens of them"] = (
            f"{row['tokens_in'] / 1e3:,.0f} thousand in, {row['tokens_out'] / 1e3:,.0f} thousand out"
        )
        lines["cost of them"] = "name --prices" if row["cost"] is None else f"{row['cost']:,.2f}"
    return output.table([{row["model"]: key, "": value} for key, value in lines.items()], [row["model"], ""])
