"""The command line: `avnb caption`, `measure`, `run`, `models`, `fetch`, `check`, `doctor`, `data`, `judge`,
`train`, `book`.

Every command prints a table for people and, with --json, one JSON document for machines. Bad input ends in one line on
stderr and a non-zero exit status. What needs torch is imported inside the commands, so that help comes at once.
"""

import json as json_format
import subprocess
import sys
from collections import Counter
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from avnb.analyses import ANALYSES
from avnb.errors import AvnbError


class _Commands(TyperGroup):
    """Turns the package's own errors, which are written for people, into one line on stderr."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except (AvnbError, OSError) as error:
            _complain(_named(error))
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
judge = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help="Ask how good a judge is.")
app.add_typer(judge, name="judge")

_OPTIONS = "NAME@4bit, NAME@bfloat16@auto, NAME@REVISION say how one is loaded"
_STDERR = 2  # the file descriptor, to which a child may also send what would spoil JSON on stdout

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter; values are read as JSON, else as text. Repeatable."),
]


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
        str,
        typer.Option(help=f"An organism, a Hugging Face Hub id, or a checkpoint folder; {_OPTIONS}."),
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
                row["error"] = _one_line(_named(error))
                _complain(_named(error))
            rows.append(row)
    finally:  # what was answered is shown, also when the call is interrupted
        answered = [row for row in rows if "answer" in row]
        _show(rows, json, [_table(answered, ["clip", "answer"])] if answered else [])
    if len(answered) < len(rows):
        raise typer.Exit(1)


@app.command()
def measure(
    analysis: Annotated[str, typer.Argument(help=f"One of {', '.join(ANALYSES)}.")],
    models: Annotated[
        str, typer.Option(help=f"Models, with commas between them, or all the organisms; {_OPTIONS}.")
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
        _refuse("--models names no model; name some with commas between them, or all")
    if names == "all":
        names = loading.shipped(hearing=analysis != "fidelity")  # a model that only sees can still say what it sees
    names = list(dict.fromkeys(names))
    for name in names:
        loading.check(name)
    if len({loading.title_of(name) for name in names}) < len(names):
        _refuse("--models names two models that would be called alike in tables; rename a folder")
    given = _settings(options)
    clips = import_module(known.clips).load(data, n=400 if n is None and data == "toybox" else n, seed=seed)
    rows, n_failed = [], 0
    for name in names:
        try:
            table = study.measure(analysis, name, clips, dataset=data, seed=seed, out=out, retry=retry, **given)
            rows += study.means(analysis, table, seed).to_dict("records")
            n_failed += bool(table.attrs["left_out"])
        except Exception as error:  # whatever happens to a model, the others go on
            _complain(f"{name}: {_named(error)}")
            n_failed += 1
    rows = [{key: None if value != value else value for key, value in row.items()} for row in rows]
    shown = [{key: f"{value:.3f}" if isinstance(value, float) else value for key, value in row.items()} for row in rows]
    _show(rows, json, [_table(shown, list(shown[0]), title=f"{analysis}, {data}")] if shown else [])
    if n_failed:
        raise typer.Exit(1)


@app.command()
def run(
    study: Annotated[Path | None, typer.Argument(metavar="[STUDY.yml]", help="The options below in a file.")] = None,
    models: Annotated[
        str | None,
        typer.Option(help=f"Models, with commas between them, or all the organisms that hear (default); {_OPTIONS}."),
    ] = None,
    notebooks: Annotated[
        str | None, typer.Option(help="Chapters or paths, with commas between them, or all that measure (default).")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for notebooks and tables; default runs.")] = None,
    parameters: Settings = None,
    json: Json = False,
):
    """Run notebooks for models; a second call runs only what failed, is missing or has changed.

    Leaves OUT/MODEL/NOTEBOOK.ipynb with the measured tables beside it. A failure stops nothing else; it is summed up at
    the end, and the exit status is then 1. A chapter that does not apply to a model (n/a) is no failure.

    Example: `avnb run --models toy-omni,Qwen/Qwen2.5-Omni-3B --notebooks all --set n=100 --out runs`
    """
    from avnb.study import notebooks as batch

    asked = batch.from_file(study) if study else {}
    for key, text in (("models", models), ("notebooks", notebooks)):
        if text is not None:
            asked[key] = batch.names_in(text)
    given = asked.get("parameters", {}) | _settings(parameters)
    folder = out or asked.get("out", "runs")
    jobs = batch.plan(asked.get("models", "all"), asked.get("notebooks", "all"), folder, given)

    def report(outcome):
        seconds = "" if outcome.status == "kept" else f" ({outcome.seconds:.0f} s)"
        reason = f": {outcome.error}" if outcome.status == "n/a" else ""
        typer.echo(f"{outcome.status:6} {outcome.job.name}{seconds}{reason}", err=json)

    outcomes = batch.execute(jobs, report)
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
    _show(rows, json, [f"{counts}; see {folder}"])
    for row in failed:
        _complain(f"{row['notebook']}: {row['error']}; traceback in {row['log']}")
    if failed:
        raise typer.Exit(1)


@app.command()
def models(json: Json = False):
    """List the models that can be named: those that ship, and published families.

    Any other checkpoint that transformers loads can be named too.
    """
    from avnb.cli import machine as doctor

    rows = doctor.models()
    shown = [{**row, "parameters": _billions(row["parameters"])} for row in rows]
    _show(rows, json, [_table(shown, ["name", "parameters", "takes", "status"])])


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="smol: the language model of the organisms that can talk, 93 MB.")],
    json: Json = False,
):
    """Download what the repository does not hold, once, into the cache folder.

    Example: `avnb fetch smol`
    """
    from avnb.models import smollm

    if name != "smol":
        _refuse(f"{name!r} cannot be fetched; use smol")
    folder = smollm.fetch()
    _show({"folder": str(folder)}, json, [f"The language model is in {folder}"])


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


@judge.command()
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
        tables.append(_table(shown, list(shown[0]), title=name))
    _show(rows, json, tables)
    for (name, reason), count in missing.items():
        _complain(f"{name}: {count} answers have no score: {reason}")
    if missing:
        raise typer.Exit(1)


@judge.command()
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
    _show({"page": str(out), "answers": n_answers}, json, [f"{n_answers} answers are to be rated in {out}"])


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
    from avnb.organisms.recipes import RECIPES
    from avnb.organisms.train import train as run

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
def check(
    model: Annotated[str, typer.Argument(help=f"An organism, a Hub id, or a checkpoint folder; {_OPTIONS}.")],
    clip: Annotated[Path | None, typer.Option(help="A video with sound; default a drawn one.")] = None,
    json: Json = False,
):
    """Examine a model that was just loaded: what every measurement takes for granted.

    Weights, placeholders, segments, position ids, attention, knockout, logit lens, and the engine against `generate`;
    for some published weights also known values. The exit status is 1 if a check fails.

    Example: `avnb check Qwen/Qwen2.5-Omni-3B`
    """
    import avnb
    from avnb.examination import examine

    if not sys.stderr.isatty():
        import transformers

        transformers.utils.logging.disable_progress_bar()
    loaded = avnb.load(model)
    shown = None if clip is None else avnb.Clip(clip.stem, clip)
    rows = examine(loaded, shown).to_dict("records")
    about = {
        "model": loaded.name,
        "revision": getattr(loaded.hf.config, "_commit_hash", None),
        "dtype": str(loaded.hf.dtype).removeprefix("torch."),
        "device": str(loaded.device),
    }
    title = ", ".join(str(value) for value in about.values() if value)
    _show(about | {"checks": rows}, json, [_table(rows, ["check", "status", "found"], title=title)])
    if any(row["status"] == "failed" for row in rows):
        raise typer.Exit(1)


@app.command()
def doctor(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="A listed model or a folder: does it fit, and what to do?")
    ] = None,
    json: Json = False,
):
    """Tell what this machine can run, and what is missing, or whether one model fits.

    The exit status is 1 if a required part is missing, or if the model does not fit.

    Example: `avnb doctor Qwen/Qwen2.5-Omni-7B`
    """
    from avnb.cli import machine as doctor

    found = doctor.examine()
    if model is not None:
        told = doctor.advice(model, found)
        lines = {"fits": told["fits"], **{f"{key}, GB": value for key, value in told["needs"].items()}}
        lines |= {"of it for a clip of 10 s, MB": told["cache"], "do": told["remedy"]}
        rows = [{told["name"]: key, "": value} for key, value in lines.items()]
        _show(told, json, [_table(rows, [told["name"], ""])])
        if told["fits"] == "no":
            raise typer.Exit(1)
        return
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


def _settings(texts):
    """The values of NAME=VALUE texts, by name."""
    values = {}
    for text in texts or ():
        name, sign, value = text.partition("=")
        if not (name and sign):
            _refuse(f"--set {text!r} is no NAME=VALUE")
        try:
            values[name] = json_format.loads(value)
        except json_format.JSONDecodeError:
            values[name] = value
    return values


def _billions(parameters):
    return f"{parameters:.1f} billion" if parameters >= 1 else f"{1000 * parameters:.1f} million"


def _one_line(error):
    return " ".join(str(error).split())


def _named(error):
    """An error in one line; of one that was not written for people also its kind."""
    return str(error) if isinstance(error, AvnbError | OSError) else f"{type(error).__name__}: {error}"


def _refuse(message):
    _complain(message)
    raise typer.Exit(2)


def _complain(error):
    typer.echo(f"avnb: {_one_line(error)}", err=True)


if __name__ == "__main__":
    app()
