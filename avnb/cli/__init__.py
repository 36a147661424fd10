"""The command line: `avnb caption`, `measure`, `estimate`, `run`, `models`, `fetch`, `check`, `doctor`, `data`,
`judge`, `train`, `book`.

Every command prints a table for people and, with --json, one JSON document for machines. Bad input ends in one line on
stderr and a non-zero exit status. What needs torch is imported inside the commands, so that help comes at once.
"""

import logging
from importlib.metadata import version
from typing import Annotated

import typer
from typer.core import TyperGroup

from avnb.cli import estimate, judging, loading, making, measuring, studies
from avnb.cli.output import OneLine, complain, named
from avnb.errors import AvnbError


class _Commands(TyperGroup):
    """Turns the package's own errors, which are written for people, into one line on stderr."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # whoever read stopped reading: no mistake, and typer ends without a word
            raise
        except (AvnbError, OSError) as error:
            complain(named(error))
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help="Make sets of clips.")
judge = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help="Ask how good a judge is.")


def _version(asked: bool):
    if asked:
        typer.echo(f"avnb {version('avnb')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
):
    """Do audio-visual language models really see and hear?"""
    logging.lastResort.setFormatter(OneLine())


for command in (
    measuring.caption,
    measuring.measure,
    estimate.estimate,
    studies.run,
    loading.models,
    loading.fetch,
    making.train,
    studies.book,
    loading.check,
    loading.doctor,
):
    app.command()(command)
data.command()(making.toybox)
judge.command()(judging.validate)
judge.command()(judging.page)
app.add_typer(data, name="data")
app.add_typer(judge, name="judge")
