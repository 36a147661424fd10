"""The command line: `avnb caption`, `models`, `data`, `train`, `book`, `doctor`.

Every command prints a table for people and, with --json, one JSON document for machines. Bad input ends in one line on
stderr and a non-zero exit status. What needs torch is imported inside the commands, so that help comes at once.
"""

import json as json_format
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup


class _Commands(TyperGroup):
    """Turns the package's own errors, which are written for people, into one line on stderr."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except ValueError as error:
            if not type(error).__module__.startswith("avnb."):
                raise
            _complain(error)
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
    help="Do audio-visual language models really see and hear?",
)
data = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help="Make sets of clips.")
app.add_typer(data, name="data")

_STDERR = 2  # the file descriptor, to which a child may also send what would spoil JSON on stdout

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


class Split(StrEnum):
    train = "train"
    validation = "validation"
    test = "test"


class Modality(StrEnum):
    video = "video"
    audio = "audio"


@app.command()
def caption(
    clips: Annotated[list[Path], typer.Argument(metavar="CLIP...", help="Video files.")],
    model: Annotated[
        str, typer.Option(help="An organism, a Hugging Face Hub id, or a checkpoint folder.")
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
    from avnb.models.prompt import PromptError

    if not sys.stderr.isatty():
        transformers.utils.logging.disable_progress_bar()
    modalities = (only.value,) if only else ("video", "audio")
    loaded = avnb.load(model)
    rows, n_failed = [], 0
    for path in clips:
        row = {"clip": str(path), "model": model, "question": question}
        try:
            answer = loaded.caption(avnb.Clip(path.stem, path), question, modalities=modalities)
            rows.append({**row, "answer": answer})
        except (avnb.ClipError, PromptError) as error:
            _complain(error)
            rows.append({**row, "error": _one_line(error)})
            n_failed += 1
    answered = [row for row in rows if "answer" in row]
    _show(rows, json, [_table(answered, ["clip", "answer"])] if answered else [])
    if n_failed:
        raise typer.Exit(1)


@app.command()
def models(json: Json = False):
    """List the models that can be named: those that ship, and published families.

    Any other checkpoint that transformers loads can be named too.
    """
    from avnb import doctor

    rows = doctor.models()
    shown = [{**row, "parameters": _billions(row["parameters"])} for row in rows]
    _show(rows, json, [_table(shown, ["name", "parameters", "takes", "status"])])


@data.command()
def toybox(
    out: Annotated[Path, typer.Option(help="Folder to write to; clips that are already there are kept.")],
    n: Annotated[int, typer.Option(min=1, help="Number of clips.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same clips.")] = 0,
    split: Annotated[Split, typer.Option(help="Splits share no colour, place or pitch.")] = Split.test,
    relation: Annotated[
        str | None, typer.Option(help="How the sound relates to the picture, e.g. matching; default a mix.")
    ] = None,
    json: Json = False,
):
    """Write clips of the toybox world, with a manifest.

    Example: `avnb data toybox --out clips --n 100 --seed 0`
    """
    from avnb.toybox import world

    if relation is not None and relation not in world.RELATIONS:
        _refuse(f"--relation {relation!r} is none of {', '.join(world.RELATIONS)}")
    manifest = world.write(out, n, seed, split.value, relation)
    _show({"manifest": str(manifest), "n": n}, json, [f"{n} clips are listed in {manifest}"])


@app.command()
def train(
    name: Annotated[str, typer.Argument(help="An organism, e.g. toy-omni.")],
    out: Annotated[Path, typer.Option(help="Folder for the checkpoint.")],
    work: Annotated[Path, typer.Option(help="Folder for drawn clips and the state; can be deleted afterwards.")],
    steps: Annotated[
        int | None, typer.Option(min=1, help="At most this many steps a stage, on few clips: a trial, not a model.")
    ] = None,
    json: Json = False,
):
    """Train a model organism; an interrupted training goes on where it stopped.

    Example: `avnb train toy-omni --out checkpoint --work work`
    """
    from avnb.toybox.train import RECIPES
    from avnb.toybox.train import train as run

    if name not in RECIPES:
        _refuse(f"{name!r} has no recipe; use one of {', '.join(RECIPES)}")
    recipe = RECIPES[name] if steps is None else RECIPES[name].shortened(steps, n_clips=250, batch_size=8)
    checkpoint = run(recipe, out, work)
    _show({"checkpoint": str(checkpoint)}, json, [f"{name} is in {checkpoint}"])


@app.command()
def book(json: Json = False):
    """Build the book, in a checkout of the project.

    Example: `cd avnb && avnb book`
    """
    here = Path.cwd()
    checkout = next(
        (f for f in (here, *here.parents) if (f / "_toc.yml").exists() and (f / "book/build.py").exists()), None
    )
    if checkout is None:
        _refuse(f"{here} is in no checkout of the project (_toc.yml, book/build.py); clone it and call avnb book there")
    command = [sys.executable, str(checkout / "book" / "build.py")]
    status = subprocess.run(command, cwd=checkout, stdout=_STDERR if json else None).returncode
    if status:
        _complain(f"the book was not built: {' '.join(command)} ended with status {status}; see its messages above")
        raise typer.Exit(status)
    index = checkout / "_build" / "html" / "index.html"
    _show({"index": str(index)}, json, [f"The book is in {index}"])


@app.command()
def doctor(json: Json = False):
    """Tell what this machine can run, and what is missing. The exit status is 1 if a required part is missing."""
    from avnb import doctor

    found = doctor.examine()
    hardware = found["hardware"]
    gpu = f"{hardware['gpu']}, {hardware['gpu_memory']} GiB (of {hardware['n_gpus']})" if hardware["gpu"] else "none"
    machine = {
        "system": hardware["system"],
        "CPU cores": hardware["cpu_cores"],
        "free memory": f"{hardware['memory']} GiB",
        "GPU": gpu,
        "free disk": f"{hardware['disk']} GiB at {hardware['cache']}",
        **{name: number or "-" for name, number in found["versions"].items()},
        "FFmpeg": ", ".join(f"{name} {value}" for name, value in found["ffmpeg"].items() if value not in (True, False)),
    }
    tables = [
        _table([{"this machine": key, "": value} for key, value in machine.items()], ["this machine", ""]),
        _table(found["models"], ["name", "fits"]),
    ]
    if found["missing"]:
        tables.append(_table(found["missing"], ["what", "remedy"], title="Missing"))
    _show(found, json, tables)
    if any(part["required"] for part in found["missing"]):
        raise typer.Exit(1)


def _show(document, json, parts):
    """Prints the document as JSON, or its parts for people."""
    if json:
        typer.echo(json_format.dumps(document, indent=2, ensure_ascii=False))
    else:
        console = Console()
        for part in parts:
            console.print(part, highlight=False, markup=False, soft_wrap=isinstance(part, str))


def _table(rows, columns, title=None):
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(str(row[column]) for column in columns))
    return table


def _billions(parameters):
    return f"{parameters:g} billion" if parameters >= 1 else f"{1000 * parameters:.1f} million"


def _one_line(error):
    return " ".join(str(error).split())


def _refuse(message):
    _complain(message)
    raise typer.Exit(2)


def _complain(error):
    typer.echo(f"avnb: {_one_line(error)}", err=True)


if __name__ == "__main__":
    app()
