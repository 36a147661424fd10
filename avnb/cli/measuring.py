"""Models asked about clips: `avnb caption` and `avnb measure`."""

import sys
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from avnb.analyses import ANALYSES
from avnb.cli import output
from avnb.cli.output import OPTIONS, Json, Settings


class Modality(StrEnum):
    video = "video"
    audio = "audio"


def caption(
    clips: Annotated[list[Path], typer.Argument(metavar="CLIP...", help="Video files.")],
    model: Annotated[
        str,
        typer.Option(help=f"An organism, a Hugging Face Hub id, or a checkpoint folder; {OPTIONS}."),
    ] = "toy-omni",
    question: Annotated[str, typer.Option(help="What to ask.")] = "Describe what you see and hear.",
    only: Annotated[
        Modality | None, typer.Option(help="The pictures or the sound alone; a video without sound needs video.")
    ] = None,
    json: Json = False,
):
    """Ask a model about clips.

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
    finally:  # what was answered is shown, also when the call is interrupted
        answered = [row for row in rows if "answer" in row]
        output.show(rows, json, [output.table(answered, ["clip", "answer"])] if answered else [])
    if len(answered) < len(rows):
        raise typer.Exit(1)


def measure(
    analysis: Annotated[str, typer.Argument(help=f"One of {', '.join(ANALYSES)}.")],
    models: Annotated[
        str, typer.Option(help=f"Models, with commas between them, or all the organisms; {OPTIONS}.")
    ] = "all",
    data: Annotated[
        str, typer.Option(help="A set by name, a Hub address, or a path; for questions SET:FOLDER.")
    ] = "toybox",
    n: Annotated[
        int | None, typer.Option(min=1, help="Number of clips, over all kinds; default 400 of the toybox, else all.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same clips.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the tables; default the cache folder.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Ask again about what was left out or has no score.")] = False,
    options: Settings = None,
    json: Json = False,
):
    """Measure models, and print means with their 95 % intervals over clips.

    Each model's table is kept on disk: what is there is read, and an interrupted measurement goes on where it stopped.

    Example: `avnb measure fidelity --models all --data toybox`
    """
    import transformers

    from avnb import analyses, study
    from avnb import models as loading
    from avnb.study import notebooks as batch

    if not sys.stderr.isatty():
        transformers.utils.logging.disable_progress_bar()
    known, _ = analyses.find(analysis)
    names = batch.names_in(models)
    if not names:
        output.refuse("--models names no model; name some with commas between them, or all")
    if names == "all":
        names = loading.shipped(hearing=analysis != "fidelity")  # a model that only sees can still say what it sees
    names = list(dict.fromkeys(names))
    for name in names:
        loading.check(name)
    if len({loading.title_of(name) for name in names}) < len(names):
        output.refuse("--models names two models that would be called alike in tables; rename a folder")
    given = output.settings(options)
    clips = import_module(known.clips).load(data, n=400 if n is None and data == "toybox" else n, seed=seed)
    rows, n_failed = [], 0
    for name in names:
        try:
            table = study.measure(analysis, name, clips, dataset=data, seed=seed, out=out, retry=retry, **given)
            rows += study.means(analysis, table, seed).to_dict("records")
            n_failed += bool(table.attrs["left_out"])
        except Exception as error:  # whatever happens to a model, the others go on
            output.complain(f"{name}: {output.named(error)}")
            n_failed += 1
    rows = [{key: None if value != value else value for key, value in row.items()} for row in rows]
    shown = [{key: f"{value:.3f}" if isinstance(value, float) else value for key, value in row.items()} for row in rows]
    output.show(rows, json, [output.table(shown, list(shown[0]), title=f"{analysis}, {data}")] if shown else [])
    if n_failed:
        raise typer.Exit(1)
