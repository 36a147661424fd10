"""How good a judge is: `avnb judge validate` and `avnb judge page`."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from avnb.cli import output
from avnb.cli.output import Json


def validate(
    ratings: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RATINGS.csv]",
            help="People's ratings: columns modality, answer, reference, rating; default answers about the toybox.",
        ),
    ] = None,
    judges: Annotated[
        str, typer.Option("--judges", help="Judges, with commas between them: words, words:EMBEDDER, llm:MODEL@URL.")
    ] = "words",
    n: Annotated[int, typer.Option(min=2, help="Number of clips of the toybox.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of the toybox's answers and of the intervals.")] = 0,
    json: Json = False,
):
    """Tell how well judges agree with people, or on the toybox with the truth, with 95 % intervals over answers.

    On the toybox judges are told the captions alone; the truth is the event judge's, who knows the events.

    Example: `avnb judge validate ratings.csv --judges words,llm:Qwen/Qwen3-32B@http://localhost:8000/v1`
    """
    from avnb.judge import validate
    from avnb.paper import published

    table = validate.read(ratings) if ratings else validate.toybox(n, seed)
    rows, tables, missing = [], [], Counter()
    for name in map(str.strip, judges.split(",")):
        measured = validate.agreement(table, name, seed, progress=True).to_dict("records")
        for row in measured:
            is_published = ratings and (row["of"], row["measure"]) == ("fidelity", "Spearman")
            row["paper"] = published()["judge"][f"spearman_{row['modality']}"] if is_published else None
        for reasons in {row["modality"]: row["reasons"] for row in measured}.values():
            missing.update({(name, reason): count for reason, count in reasons.items()})
        rows += [{key: None if value != value else value for key, value in row.items()} for row in measured]
        shown = [
            {
                "modality": row["modality"],
                "measure": f"{row['of']}, {row['measure']}",
                **{key: "-" if row[key] != row[key] else f"{row[key]:.2f}" for key in ("mean", "low", "high")},
                **{key: row[key] for key in ("n", "unscored")},
                "paper": row["paper"] or "",
            }
            for row in measured
        ]
        tables.append(output.table(shown, list(shown[0]), title=name))
    output.show(rows, json, tables)
    for (name, reason), count in missing.items():
        output.complain(f"{name}: {count} answers have no score: {reason}")
    if missing:
        raise typer.Exit(1)


def page(
    clips: Annotated[str, typer.Argument(metavar="CLIPS", help="A set by name, a Hub address, or a path.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page to write.")] = Path("rate.html"),
    models: Annotated[str, typer.Option(help="Whose answers, with commas between them.")] = "toy-omni",
    n: Annotated[int | None, typer.Option(min=1, help="At most this many clips; default all.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the clips that are taken, and of their order.")] = 0,
    json: Json = False,
):
    """Write a page to rate answers by hand, which saves the CSV that `avnb judge validate` reads.

    Models are asked what they hear and what they see. The page holds the clips and needs no network.

    Example: `avnb judge page clips.jsonl -o rate.html`
    """
    import pandas as pd

    from avnb import datasets, study
    from avnb import judge as judges
    from avnb.judge.page import write
    from avnb.questions import HEAR, SEE
    from avnb.study import notebooks as batch

    known = datasets.load(clips, n=n, seed=seed, fewer=True)
    options = {"questions": [HEAR, SEE], "inputs": ["both"], "judge": judges.suited(known)}
    tables = [
        study.measure("fidelity", name, known, dataset=clips, seed=seed, **options) for name in batch.names_in(models)
    ]
    n_answers = write(pd.concat(tables), known, out, seed)
    output.show({"page": str(out), "answers": n_answers}, json, [f"{n_answers} answers are to be rated in {out}"])
