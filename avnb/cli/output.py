"""What all commands share: their common options, and how they print, for people and for machines."""

import json as json_format
import logging
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from avnb.errors import AvnbError

_WIDEST = 10_000  # characters

OPTIONS = "NAME@4bit, NAME@bfloat16@auto, NAME@REVISION say how one is loaded"

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter; values are read as JSON, else as text. Repeatable."),
]

Data = Annotated[str, typer.Option(help="A set by name, a Hub address, or a path; for questions SET:FOLDER.")]
N = Annotated[
    int | None, typer.Option(min=1, help="Number of clips, over all kinds; default 400 of the toybox, else all.")
]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same clips.")]

Workers = Annotated[
    int | None, typer.Option(min=1, help="Share the work between so many processes, a GPU each where there are any.")
]
Scheduler = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Share the work between the workers of a Dask scheduler.")
]
Cluster = Annotated[
    str | None, typer.Option(metavar="slurm", help="Start the workers (--workers of them) as jobs of Slurm.")
]


def show(document, json, parts):
    """Prints the document as JSON, or its parts for people."""
    if json:
        typer.echo(json_format.dumps(document, indent=2, ensure_ascii=False))
    else:
        console = Console()
        if not console.is_terminal:
            console.width = _WIDEST  # no name is folded that a program reads
        for part in parts:
            console.print(part, highlight=False, markup=False, soft_wrap=isinstance(part, str))


def table(rows, columns, title=None):
    """A table for people: the values of these keys of the rows, which are dicts."""
    shown = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        shown.add_column(column, overflow="fold", no_wrap=i == 0)  # a name can be copied
    for row in rows:
        shown.add_row(*(one_line(row[column]) for column in columns))
    return shown


def completed(known):
    """Completes the last of several names with commas between them, for a shell.

    Args:
        known: without arguments, gives the names that there are.

    Example:
        >>> completed(lambda: ["lens", "fidelity"])("attention,le")
        ['attention,lens']
    """

    def complete(incomplete: str):
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in known() if name.startswith(last)]

    return complete


def organisms():
    """The names of the organisms; of what else can be named there is no list."""
    from avnb.models import organisms

    return organisms()


def settings(texts):
    """The values of NAME=VALUE texts, by name."""
    values = {}
    for text in texts or ():
        name, sign, value = text.partition("=")
        if not (name and sign):
            refuse(f"--set {text!r} is no NAME=VALUE")
        try:
            values[name] = json_format.loads(value)
        except json_format.JSONDecodeError:
            values[name] = value
    return values


def one_line(error):
    """A text without line breaks, and without what would steer a terminal, such as a file may have in its name.

    Example:
        >>> one_line("a\\n b\\x1b[31m.mp4")
        'a b\\\\x1b[31m.mp4'
    """
    text = " ".join(str(error).split())
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


class OneLine(logging.Formatter):
    """Warnings in one line each, likewise."""

    def formatMessage(self, record):  # noqa: N802 (the name is that of the parent)
        return one_line(super().formatMessage(record))


def named(error):
    """An error in one line; of one that was not written for people also its kind."""
    return str(error) if isinstance(error, AvnbError | OSError) else f"{type(error).__name__}: {error}"


def refuse(message):
    """Ends the command because of how it was called."""
    complain(message)
    raise typer.Exit(2)


def complain(error):
    """Says on stderr, in one line, what went wrong."""
    typer.echo(f"avnb: {one_line(error)}", err=True)
