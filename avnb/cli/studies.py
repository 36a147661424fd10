"""Notebooks run for models, and the book: `avnb run` and `avnb book`."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from avnb.cli import output
from avnb.cli.output import OPTIONS, Cluster, Json, Scheduler, Settings, Workers, completed, organisms

_STDERR = 2  # the file descriptor, to which a child may also send what would spoil JSON on stdout


def run(
    study: Annotated[Path | None, typer.Argument(metavar="[STUDY.yml]", help="The options below in a file.")] = None,
    models: Annotated[
        str | None,
        typer.Option(
            help=f"Models, with commas between them, or all the organisms that hear (default); {OPTIONS}.",
            autocompletion=completed(organisms),
        ),
    ] = None,
    notebooks: Annotated[
        str | None, typer.Option(help="Chapters or paths, with commas between them, or all that measure (default).")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for notebooks and tables; default runs.")] = None,
    parameters: Settings = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    cluster: Cluster = None,
    json: Json = False,
):
    """Run notebooks for models; a second call runs only what failed, is missing or has changed.

    Leaves OUT/MODEL/NOTEBOOK.ipynb with the measured tables beside it. A failure stops nothing else; it is summed up at
    the end, and the exit status is then 1. A chapter that does not apply to a model (n/a) is no failure. Workers
    measure the tables that notebooks ask for; the notebooks themselves run here, one after the other.

    Example: `avnb run --models toy-omni,Qwen/Qwen2.5-Omni-3B --notebooks all --set n=100 --out runs`
    """
    from avnb.study import notebooks as batch
    from avnb.study.workers import at_hand

    asked = batch.from_file(study) if study else {}
    for key, text in (("models", models), ("notebooks", notebooks)):
        if text is not None:
            asked[key] = batch.names_in(text)
    given = asked.get("parameters", {}) | output.settings(parameters)
    folder = out or asked.get("out", "runs")
    jobs = batch.plan(asked.get("models", "all"), asked.get("notebooks", "all"), folder, given)

    outcomes = []

    def report(outcome):
        outcomes.append(outcome)
        seconds = "" if outcome.status == "kept" else f" ({outcome.seconds:.0f} s)"
        reason = f": {outcome.error}" if outcome.status == "n/a" else ""
        typer.echo(f"{outcome.status:6} {outcome.job.name}{seconds}{reason}", err=json)

    try:
        with at_hand(workers, scheduler, cluster):
            batch.execute(jobs, report)
    finally:  # what was run is summed up, also when the call is interrupted
        has_failed = _sum_up(outcomes, folder, json)
    if has_failed:
        raise typer.Exit(1)


def _sum_up(outcomes, folder, json):
    """Says what became of notebooks, and gives whether one failed."""
    rows = [
        {
            "notebook": str(outcome.job.target),
            "model": outcome.job.model,
            "status": outcome.status,
            "seconds": round(outcome.seconds, 1),
            **({"error": outcome.error, "log": str(outcome.job.log)} if outcome.error else {}),
        }
        for outcome in outcomes
    ]
    failed = [row for row in rows if row["status"] == "failed"]
    counts = ", ".join(f"{sum(row['status'] == s for row in rows)} {s}" for s in ("done", "kept", "n/a", "failed"))
    output.show(rows, json, [f"{counts}; see {folder}"])
    for row in failed:
        output.complain(f"{row['notebook']}: {row['error']}; traceback in {row['log']}")
    return bool(failed)


def book(
    runs: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Show these executed runs too: a folder of avnb run --out."),
    ] = None,
    json: Json = False,
):
    """Build the book, in a checkout of the project.

    Executed runs become a part of the book for each model, and a page that sets the models side by side.

    Example: `cd avnb && avnb book --runs runs`
    """
    here = Path.cwd()
    checkout = next(
        (f for f in (here, *here.parents) if (f / "_toc.yml").exists() and (f / "book/build.py").exists()), None
    )
    if checkout is None:
        output.refuse(
            f"{here} is in no checkout of the project (_toc.yml, book/build.py); clone it and call avnb book there"
        )
    command = [sys.executable, str(checkout / "book" / "build.py")]
    command += [] if runs is None else ["--runs", str(runs.resolve())]
    status = subprocess.run(command, cwd=checkout, stdout=_STDERR if json else None).returncode
    if status:
        output.complain(
            f"the book was not built: {' '.join(command)} ended with status {status}; see its messages above"
        )
        raise typer.Exit(status)
    index = checkout / "_build" / "html" / "index.html"
    output.show({"index": str(index)}, json, [f"The book is in {index}"])
