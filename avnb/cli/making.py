"""Clips and organisms made: `avnb data toybox` and `avnb train`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from avnb.cli import output
from avnb.cli.output import Json


class Split(StrEnum):
    train = "train"
    validation = "validation"
    test = "test"


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
        output.refuse(f"--relation {relation!r} is none of {', '.join(world.RELATIONS)}")
    manifest = world.write(out, n, seed, split.value, relation)
    output.show({"manifest": str(manifest), "n": n}, json, [f"{n} clips are listed in {manifest}"])


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
        output.refuse(f"{name!r} has no recipe; use one of {', '.join(RECIPES)}")
    recipe = RECIPES[name] if steps is None else RECIPES[name].shortened(steps, n_clips=250, batch_size=8)
    checkpoint = run(recipe, out, work)
    output.show({"checkpoint": str(checkpoint)}, json, [f"{name} is in {checkpoint}"])
