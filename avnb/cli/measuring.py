"""Models asked about clips: `avnb caption` and `avnb measure`."""

import inspect
import sys
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from avnb.analyses import ANALYSES, find
from avnb.cli import output
from avnb.cli.output import OPTIONS, Cluster, Data, Json, N, Scheduler, Seed, Settings, Workers, completed, organisms


class Modality(StrEnum):
    video = "video"
    audio = "audio"


def caption(
    clips: Annotated[list[Path], typer.Argument(metavar="CLIP...", help="Video files.")],
    model: Annotated[
        str,
        typer.Option(
            help=f"An organism, a Hugging Face Hub id, or a checkpoint folder; {OPTIONS}.",
            autocompletion=completed(organisms),
        ),
    ] = "toy-omni",
    question: Annotated[str, typer.Option(help="What to ask.")] = "Describe what you see and hear.",
    only: Annotated[
        Modality | None, typer.Option(help="The pictures or the sound alone; a video without sound needs video.")
    ] = None,
    json: Json = False,
):
    """Ask a model about clips, and print the answers as they come.

    A clip that cannot be used is reported and the rest goes on; the exit status is then 1.

    Example: `avnb caption dog.mp4 --question "Describe what you hear."`
    """
    import transformers

    import avnb

    if not sys.stderr.isatty():
        transformers.utils.logging.disable_progress_bar()
    modalities = (only.value,) if only else ("video", "audio")
    loaded = avnb.load(model)
    rows = []
    try:
        for path in clips:
            row = {"clip": str(path), "model": model, "question": question}
            try:
                row["answer"] = loaded.caption(avnb.Clip(path.stem, path), question, modalities=modalities)
            except Exception as error:  # whatever happens to a clip, the others are asked
                row["error"] = output.one_line(output.named(error))
                output.complain(output.named(error))
            rows.append(row)
            if "answer" in row and not json:
                output.show(None, json, [output.one_line(f"{path}: {row['answer']}")])
    finally:  # what was answered is shown, also when the call is interrupted
        output.show(rows, json, [])
    if any("error" in row for row in rows):
        raise typer.Exit(1)


def measure(
    analysis: Annotated[
        str,
        typer.Argument(
            help=f"One of {', '.join(ANALYSES)}; or several, with commas.", autocompletion=completed(ANALYSES.keys)
        ),
    ],
    models: Annotated[
        str,
        typer.Option(
            help=f"Models, with commas between them, or all the organisms; {OPTIONS}.",
            autocompletion=completed(organisms),
        ),
    ] = "all",
    data: Data = "toybox",
    n: N = None,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the tables; default the cache folder.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Ask again about what was left out or has no score.")] = False,
    options: Settings = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    cluster: Cluster = None,
    json: Json = False,
):
    """Measure models, and print means with their 95 % intervals over clips.

    Each model's table is kept on disk: what is there is read, and an interrupted measurement goes on where it stopped.
    Several analyses share what they ask of a clip, which costs far less than one after the other, with workers too.
    These share the clips; without them, everything is measured in this process.

    Clips that cannot be used are left out, and named with the reason at every call; the exit status is then 1. With
    --json they are a list beside the means.

    Example: `avnb measure fidelity,attention,lens --models all --data toybox`
    """
    wanted = [name.strip() for name in analysis.split(",")]
    rooms = {find(name)[0].clips for name in wanted}
    if len(rooms) > 1:
        output.refuse(f"{analysis}: not all of these are about the same clips; measure questions by itself")
    import transformers

    from avnb import models as loading
    from avnb import study
    from avnb.study import notebooks as batch
    from avnb.study.workers import measuring

    if not sys.stderr.isatty():
        transformers.utils.logging.disable_progress_bar()
    names = batch.names_in(models)
    if not names:
        output.refuse("--models names no model; name some with commas between them, or all")
    if names == "all":
        names = loading.shipped(hearing=wanted != ["fidelity"])  # a model that only sees can still say what it sees
    names = list(dict.fromkeys(names))
    for name in names:
        loading.check(name)
    if len({loading.title_of(name) for name in names}) < len(names):
        output.refuse("--models names two models that would be called alike in tables; rename a folder")
    given = output.settings(options)
    if others := [name for name in given if name in inspect.signature(study.measure).parameters]:
        output.refuse(f"--set {others[0]}: {analysis} has no option {others[0]!r}; see avnb measure --help")
    clips = import_module(*rooms).load(data, n=400 if n is None and data == "toybox" else n, seed=seed)
    rows, left_out, n_failed = [], [], 0
    about = {"dataset": data, "seed": seed, "out": out, "retry": retry}
    try:
        with measuring(workers, scheduler, cluster) as measured:
            for name in names:
                try:
                    tables, failed = measured(wanted, name, clips, **about, **given)
                    for one, table in tables.items():
                        means = study.means(one, table, seed).to_dict("records")
                        rows += [{"analysis": one, **row} for row in means] if len(wanted) > 1 else means
                        lacking = table.attrs["left_out"].items()
                        shared = {"analysis": one, "model": loading.title_of(name)}
                        left_out += [{**shared, "clip": clip, "reason": reason} for clip, reason in lacking]
                except Exception as error:  # whatever happens to a model, the others go on
                    failed = {None: error}
                for one, error in failed.items():
                    output.complain(f"{name}{f', {one}' if one and len(wanted) > 1 else ''}: {output.named(error)}")
                    n_failed += 1
    finally:  # what was measured is shown, also when the call is interrupted
        _show_means(rows, left_out, json, wanted, data)
    if n_failed or left_out:
        raise typer.Exit(1)


def _show_means(rows, left_out, json, wanted, data):
    rows = [{key: None if value != value else value for key, value in row.items()} for row in rows]
    shown = [{key: f"{value:.3f}" if isinstance(value, float) else value for key, value in row.items()} for row in rows]
    tables = []
    for one in wanted:
        some = [row for row in shown if row.get("analysis", one) == one]
        if some:
            columns = [name for name in some[0] if name != "analysis"]
            tables.append(output.table(some, columns, title=f"{one}, {data}"))
    output.show({"means": rows, "left_out": left_out}, json, tables)
