"""Models and the machine under them: `avnb models`, `fetch`, `check` and `doctor`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from avnb.cli import output
from avnb.cli.output import OPTIONS, Json, completed, organisms


def models(json: Json = False):
    """List the models that can be named: those that ship, and published families.

    Any other checkpoint that transformers loads can be named too.
    """
    from avnb.cli import machine as doctor

    rows = doctor.models()
    shown = [{**row, "parameters": _billions(row["parameters"])} for row in rows]
    output.show(rows, json, [output.table(shown, ["name", "parameters", "takes", "status"])])


def fetch(
    name: Annotated[str, typer.Argument(help="smol: the language model of the organisms that can talk, 93 MB.")],
    json: Json = False,
):
    """Download what the repository does not hold, once, into the cache folder.

    Example: `avnb fetch smol`
    """
    from avnb.models import smollm

    if name != "smol":
        output.refuse(f"{name!r} cannot be fetched; use smol")
    folder = smollm.fetch()
    output.show({"folder": str(folder)}, json, [f"The language model is in {folder}"])


def check(
    model: Annotated[
        str,
        typer.Argument(
            help=f"An organism, a Hub id, or a checkpoint folder; {OPTIONS}.", autocompletion=completed(organisms)
        ),
    ],
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
    output.show(about | {"checks": rows}, json, [output.table(rows, ["check", "status", "found"], title=title)])
    if any(row["status"] == "failed" for row in rows):
        raise typer.Exit(1)


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
        output.show(told, json, [output.table(rows, [told["name"], ""])])
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
        output.table([{"this machine": key, "": value} for key, value in machine.items()], ["this machine", ""]),
        output.table(found["models"], ["name", "fits"]),
    ]
    if found["missing"]:
        tables.append(output.table(found["missing"], ["what", "remedy"], title="Missing"))
    output.show(found, json, tables)
    if any(part["required"] for part in found["missing"]):
        raise typer.Exit(1)


def _billions(parameters):
    return f"{parameters:.1f} billion" if parameters >= 1 else f"{1000 * parameters:.1f} million"
