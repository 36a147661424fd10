"""Kernels: one notebook run to its end, and what became of it written down."""

import os
import re
import shutil
import time
import traceback
from contextlib import contextmanager, suppress

from avnb.errors import InapplicableError
from avnb.files import whole
from avnb.study.tables import StudyError, read_about

_LONGEST = 12 * 3600  # seconds that a cell may take
_NO_PROGRESS = {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}  # a bar would fill the executed notebook
_KERNEL = [
    "--InteractiveShellApp.ignore_cwd=True",  # a file av.py in the current folder is no module of a chapter
    "--log-level=CRITICAL",  # what fails in a notebook is written down; at Ctrl-C kernels complain of lost sockets
]
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def run(notebook, job, key) -> str:
    """Runs a notebook for a job of a batch, and leaves it executed, with its key, where the job says.

    Args:
        notebook: an nbformat notebook.
        job: a `notebooks.Job`.
        key: what the executed notebook rests on.

    Returns:
        The error that it ended in, in one line; "" if there was none.
    """
    import nbformat
    import papermill

    error, start = "", time.time()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    with whole(job.target) as partial:
        source = partial.with_name(f"source-{partial.name}")
        nbformat.write(notebook, source)
        shutil.copy(source, partial)  # what is shown if papermill fails before the first cell
        try:
            with environment(_NO_PROGRESS):
                papermill.execute_notebook(
                    source,
                    partial,
                    parameters=job.parameters,
                    progress_bar=False,
                    execution_timeout=_LONGEST,
                    extra_arguments=_KERNEL,
                )
            job.log.unlink(missing_ok=True)
        except Exception as failure:  # whatever happens in a notebook, the others go on
            error = _one_line(failure)
            with whole(job.log) as log:
                log.write_text(_traceback(failure), encoding="utf8")
        executed = nbformat.read(partial, as_version=4)
        executed.metadata["avnb"] = {
            "key": None if error and not does_not_apply(error) else key,
            "notebook": job.notebook.name,
            "tables": _asked_since(job.target.parent, start),
        }
        nbformat.write(executed, partial)
    return error


def does_not_apply(error) -> bool:
    """Whether a notebook ended because it is about something that the model does not have.

    Args:
        error: from `run`.
    """
    return error.startswith(f"{InapplicableError.__name__}: ")


def _one_line(failure):
    name = getattr(failure, "ename", type(failure).__name__)
    return f"{name}: {' '.join(str(getattr(failure, 'evalue', failure)).split())}"


def _traceback(failure):
    lines = getattr(failure, "traceback", None)  # of the notebook, with the colours of a terminal
    return _COLOUR.sub("", "\n".join(lines)) if lines else "".join(traceback.format_exception(failure))


@contextmanager
def environment(values):
    """Environment variables, dict of texts, which the processes have that are started within the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def _asked_since(folder, start):
    """The names of the tables in a folder that were asked for since a time in seconds since 1970."""
    found = []
    for path in sorted(folder.glob("*--*.parquet")):
        with suppress(StudyError):
            found += [path.name] if read_about(path)["asked"] >= start else []
    return found
