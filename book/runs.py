"""Pages of the book from executed runs, as `avnb run --out` leaves them: a part for each model, and one page for all.

Executed notebooks are shown as they are; nothing is run again. They, the page, and contents that name them lie in
`book/runs`, which is made anew at every call and is in no commit.
"""

import re
import shutil
import textwrap
from pathlib import Path
from typing import NamedTuple

import jupytext
import nbformat
import yaml

from avnb import models
from avnb.errors import AvnbError, InapplicableError
from avnb.study import compare
from avnb.study.notebooks import chapters

ROOT = Path(__file__).resolve().parent.parent
_DOC = re.compile(r"(\{doc\}`(?:[^`<]*<)?)(?=\w)")  # a page beside the chapter
_NOT_RUN = "not run"


class Run(NamedTuple):
    """One executed notebook: model (None: about all), name of its file, its title, path, and "" or why it shows none.

    A reason starts with "n/a" (it does not apply to the model) or with "failed"."""

    model: str | None
    name: str
    title: str
    path: Path
    reason: str


def found(folder) -> list:
    """The runs below a folder, those about all models first; [] if there are none."""
    paths = [*sorted(Path(folder).glob("*.ipynb")), *sorted(Path(folder).glob("*/*.ipynb"))]
    runs = [_read(path) for path in paths if not path.name.startswith(".")]
    return [run for run in runs if run is not None]


def _read(path):
    try:
        notebook = nbformat.read(path, as_version=4)
        about = notebook.metadata["avnb"]
        model = notebook.metadata["papermill"]["parameters"].get("model")
    except (OSError, ValueError, KeyError, nbformat.ValidationError):
        return None  # it was not written by a batch
    title = _title(notebook.cells, path.stem)
    errors = [output for cell in notebook.cells for output in cell.get("outputs", []) if output.output_type == "error"]
    reason = ""
    if errors:
        kind = "n/a" if errors[0].ename == InapplicableError.__name__ else "failed"
        reason = f"{kind}: {' '.join(errors[0].evalue.split())}"
    elif about["key"] is None:
        reason = "failed"
    return Run(model and models.title_of(model), path.stem, title, path, reason)


def _title(cells, otherwise):
    lines = (line for cell in cells if cell.cell_type == "markdown" for line in cell.source.splitlines())
    return next((line[2:] for line in lines if line.startswith("# ")), otherwise)


def table(runs) -> list:
    """Rows of texts: every chapter that measures, or was run, and what became of it in each model."""
    of_models = [run for run in runs if run.model]
    about_all = {run.name for run in runs if not run.model}
    sources = {path.stem: path for path in chapters() if path.stem not in about_all}
    titles = {name: _title(jupytext.read(path).cells, name) for name, path in sources.items()}
    titles |= {run.name: run.title for run in of_models}
    names = [*sorted(sources), *sorted(set(titles) - set(sources))]
    columns = list(dict.fromkeys(run.model for run in of_models))
    by = {(run.name, run.model): run for run in of_models}

    def cell(name, model):
        run = by.get((name, model))
        if run is None:
            return _NOT_RUN
        return _as_text(run.reason) or f"[shown]({_page(run)})"

    rows = [[_as_text(titles[name]), *(cell(name, model) for model in columns)] for name in names]
    return [["Chapter", *map(_as_text, columns)], *rows]


def prepare(folder):
    """Writes the pages and the contents of a book with them.

    Args:
        folder: that `avnb run --out` wrote to.

    Returns:
        The path of the contents.

    Raises:
        AvnbError: there is no run in the folder.
    """
    runs = found(folder)
    if not runs:
        raise AvnbError(f"{folder} holds no executed notebook; give the folder that `avnb run --out` wrote to")
    pages = ROOT / "book" / "runs"
    shutil.rmtree(pages, ignore_errors=True)
    pages.mkdir()
    for run in runs:
        if not run.reason:
            _show(run, pages / f"{_page(run)}.ipynb")
    (pages / "index.md").write_text(_index(folder, runs), encoding="utf8")
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf8"))
    contents["parts"] += [
        {"caption": caption, "chapters": [{"file": f"book/runs/{page}"} for page in some]}
        for caption, some in _parts(runs)
    ]
    (pages / "_toc.yml").write_text(yaml.safe_dump(contents, sort_keys=False), encoding="utf8")
    return pages / "_toc.yml"


def _parts(runs):
    """(caption, pages) of the parts of the book."""
    shown = [run for run in runs if not run.reason]
    yield "Your runs", ["index", *(_page(run) for run in shown if run.model is None)]
    for model in dict.fromkeys(run.model for run in shown if run.model):
        yield model, [_page(run) for run in shown if run.model == model]


def _page(run):
    """The page of a run, below `book/runs`."""
    return run.name if run.model is None else f"{run.path.parent.name}/{run.name}"


def _show(run, target):
    """A copy of an executed notebook, which is not run again, and whose links lead to the pages of the book."""
    notebook = nbformat.read(run.path, as_version=4)
    notebook.metadata["mystnb"] = {"execution_mode": "off"}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _DOC.sub(r"\1/notebooks/", cell.source)
        elif "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata.tags.append("hide-input")  # folded, as the parameters that it replaces
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)


def _index(folder, runs):
    """The page that sets the models side by side."""
    lines = [
        "# Your runs, side by side",
        "",
        f"Executed by `avnb run` into `{Path(folder).name}`, and shown as they are.",
        "",
        *_markdown(table(runs)),
        "",
        "## Numbers",
        "",
    ]
    try:
        parts = compare.parts(compare.overview(compare.numbers(compare.collect(folder))))
        lines += [
            "Means with 95 % intervals over clips in round brackets; published numbers with how they are known, in "
            "square ones. A – was not measured.",
        ]
        for part in parts:
            lines += ["", *_markdown([list(part.columns), *part.map(_as_text).values.tolist()])]
    except AvnbError as error:
        lines += ["**Not measured**:", "", "```", *textwrap.wrap(str(error), 90), "```"]
    return "\n".join(lines) + "\n"


def _markdown(rows):
    first, *others = rows
    return [f"| {' | '.join(row)} |" for row in (first, ["---"] * len(first), *others)]


def _as_text(value):
    """A text that is no Markdown, in a cell of a table."""
    return re.sub(r"([\\`*_{}\[\]<>|$~#])", r"\\\1", " ".join(str(value).split()))
