"""Notebooks x models: every chapter run for every model with papermill, in a batch that can be stopped and resumed.

    batch.execute(batch.plan(["toy-omni"], "all", out="runs", parameters={"n": 24}))

leaves runs/MODEL/NOTEBOOK.ipynb, executed, with the measured tables beside it. A notebook without a parameter `model`
is about all models: it runs once, last, with their names in its parameter `models`, and finds their tables through
`tables`. An executed notebook carries a key of its source, its parameters, the code of the package, the files of the
checkpoint, the clips of a path given as `dataset`, and for the last ones the tables. It runs again only if the key has
changed, if it failed, or if a table that it asked for is gone. The key does not see a checkpoint or data set on the
Hub, of which it takes the name alone (its revision is not known): where these have changed, delete the notebook.
Running it again is cheap, since `avnb.study` reads the tables that still hold.
"""

import ast
import hashlib
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from avnb import models
from avnb.closure import package_hash
from avnb.datasets.tables import from_path, table_of
from avnb.errors import AvnbError
from avnb.files import file_hash, safe_name
from avnb.models import asked
from avnb.study.fingerprints import clips_fingerprint
from avnb.study.kernels import does_not_apply, run
from avnb.study.settings import unfit

_SET_HERE = ("model", "models", "out", "tables")
_FILE_KEYS = ("models", "notebooks", "out", "parameters")


class BatchError(AvnbError):
    """A batch cannot be run as asked: says what was given and what to do."""


@dataclass(frozen=True)
class Job:
    """One notebook to be run for one model, or (model None) for all of them.

    Attributes:
        notebook: the source, .py (jupytext percent) or .ipynb.
        model: name of the model.
        target: where the executed notebook goes.
        parameters: those that the notebook has.
    """

    notebook: Path
    model: str | None
    target: Path
    parameters: dict = field(default_factory=dict)

    @property
    def name(self):
        return self.target.stem if self.model is None else f"{models.title_of(self.model)}: {self.target.stem}"

    @property
    def log(self):
        return self.target.with_suffix(".log")


@dataclass(frozen=True)
class Outcome:
    """What became of a job: status "done", "kept" (nothing had changed), "n/a" (it does not apply to the model) or
    "failed"; seconds; the error in one line."""

    job: Job
    status: str
    seconds: float = 0.0
    error: str = ""


def plan(model_names, notebooks="all", out="runs", parameters=None) -> list:
    """The jobs of a batch, every argument of which has been checked.

    Args:
        model_names: names for `avnb.load`; or "all", the organisms that hear.
        notebooks: names of chapters ("02_caption_fidelity"), or paths of notebooks; or "all", those that measure.
        out: folder to write to.
        parameters: values for the notebooks that have such a parameter.

    Returns:
        list of `Job`, in the order in which they run.

    Raises:
        BatchError: an unknown notebook or parameter, a value unlike the one it replaces, or nothing to do.
        ModelError: an unknown model.
    """
    model_names = models.shipped(hearing=True) if model_names == "all" else list(dict.fromkeys(model_names))
    if not model_names:
        raise BatchError(f"no model was named; name some, e.g. {', '.join(models.shipped())}")
    titles = {}
    for name in model_names:
        models.check(name)
        if (other := titles.setdefault(models.title_of(name), name)) != name:
            raise BatchError(f"{other} and {name} would be called alike in tables and folders; rename one of them")
    paths = [_find(name) for name in (chapters() if notebooks == "all" else notebooks)]
    if not paths:
        raise BatchError("no notebook was named; name some, or take all")
    sources = {path: _read(path) for path in dict.fromkeys(paths)}
    known = {path: parameters_of(source, path) for path, source in sources.items()}
    given = dict(parameters or {})
    for name, value in given.items():
        if name in _SET_HERE:
            raise BatchError(f"the parameter {name!r} is set by the batch itself; leave it out")
        if not any(name in names for names in known.values()):
            everywhere = sorted(set().union(*known.values()) - set(_SET_HERE))
            raise BatchError(f"no notebook has a parameter {name!r}; they have {', '.join(everywhere) or 'none'}")
        for path, defaults in known.items():
            if name in defaults and (advice := _advice(value, defaults[name])):
                raise BatchError(f"{name}={value!r}: {advice}; in {path.stem} it is {defaults[name]!r}")
    out = Path(out).resolve()
    jobs = [
        _job(path, name, out, known[path], given) for name in model_names for path in paths if "model" in known[path]
    ]
    given["models"] = model_names  # the folder may hold tables of others, from an earlier batch
    return jobs + [_job(path, None, out, known[path], given) for path in paths if "model" not in known[path]]


def from_file(path) -> dict:
    """The arguments of `plan` from a small YAML file.

    Returns:
        dict with some of models, notebooks, out and parameters.

    Raises:
        BatchError: the file cannot be read or holds something else.
    """
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf8"))
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise BatchError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(content, dict) or (unknown := set(content) - set(_FILE_KEYS)):
        found = f"unknown {', '.join(sorted(map(str, unknown)))}" if isinstance(content, dict) else "no such lines"
        raise BatchError(f"{path}: {found}; write some of {', '.join(f'{key}: ...' for key in _FILE_KEYS)}")
    for key in ("models", "notebooks"):
        value = content.get(key, "all")
        names = names_in(value) if isinstance(value, str) else value
        if names != "all" and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise BatchError(f"{path}: {key} is {value!r}; give a list of names, or all")
        if key in content:
            content[key] = names
    if not isinstance(content.get("out", ""), str):
        raise BatchError(f"{path}: out is {content['out']!r}; give the path of a folder")
    if not isinstance(content.get("parameters", {}), dict):
        raise BatchError(f"{path}: parameters is {content['parameters']!r}; write lines such as n: 24")
    return content


def names_in(text):
    """The names in a text, "a, b"; "all" stays itself.

    Example:
        >>> names_in("toy-omni, toy-vl")
        ['toy-omni', 'toy-vl']
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    return "all" if names == ["all"] else names


def execute(jobs, report=lambda outcome: None) -> list:
    """Runs what is missing or has changed; a notebook that fails does not stop the others.

    Args:
        jobs: from `plan`.
        report: called with every `Outcome` as it comes.

    Returns:
        list of `Outcome`. A failed notebook is kept up to its error, with the traceback in the .log beside it.

    Raises:
        BatchError: papermill, jupytext or ipykernel is not installed; says how to get them.
    """
    for name in ("papermill", "ipykernel"):
        _imported(name)
    outcomes = []
    for about_all in (False, True):  # which need what the others have measured
        for job in jobs:
            if (job.model is None) == about_all:
                outcomes.append(outcome_of(job))
                report(outcomes[-1])
    return outcomes


def outcome_of(job) -> Outcome:
    """Runs one notebook, unless nothing has changed."""
    key = _key(job)
    if _is_kept(job.target, key):
        return Outcome(job, "kept")
    start = time.perf_counter()
    error = run(_read(job.notebook), job, key)
    status = "n/a" if does_not_apply(error) else "failed" if error else "done"
    return Outcome(job, status, time.perf_counter() - start, error)


def chapters():
    """Paths of the book's chapters that measure any model, in order: the .py files, else the .ipynb files.

    A notebook says so in its metadata, `avnb: {batch: true}`.

    Raises:
        BatchError: this is no checkout of the project.
    """
    folder = _notebook_folder()
    found = {path.stem: path for path in [*folder.glob("*.ipynb"), *folder.glob("*.py")]}  # .py before .ipynb
    return [path for _, path in sorted(found.items()) if _read(path).metadata.get("avnb", {}).get("batch")]


def parameters_of(notebook, path="notebook") -> dict:
    """What the cell tagged `parameters` of a notebook assigns: values by name, None for one that is computed.

    Raises:
        BatchError: the cell is no Python.
    """
    found = {}
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            try:
                tree = ast.parse(cell.source)
            except SyntaxError as error:
                raise BatchError(f"{path}: its cell of parameters is no Python: {error}") from error
            for node in tree.body:
                if isinstance(node, ast.Assign):
                    found |= {target.id: _literal(node.value) for target in node.targets}
    return found


def _literal(node):
    with suppress(ValueError):
        return ast.literal_eval(node)


def _advice(value, default):
    """What to give instead of the value of a parameter; empty if it will do."""
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return "give a name, a number or a list of them"
    return unfit(value, default)


def _job(path, model, out, known, given):
    folder = out if model is None else out / safe_name(models.title_of(model))
    values = given | {"model": model, "out": str(folder), "tables": str(out)}
    return Job(path, model, folder / f"{path.stem}.ipynb", {name: values[name] for name in values if name in known})


def _find(name):
    if Path(name).suffix in (".py", ".ipynb"):
        if not Path(name).is_file():
            raise BatchError(f"there is no notebook {name}; check the path")
        return Path(name)
    folder = _notebook_folder()
    found = [path for suffix in (".py", ".ipynb") if (path := folder / f"{name}{suffix}").is_file()]
    if not found:
        there = sorted({path.stem for path in [*folder.glob("*.py"), *folder.glob("*.ipynb")]})
        raise BatchError(f"there is no notebook {name!r} in {folder}; there are {', '.join(there)}")
    return found[0]


def _notebook_folder():
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[2]):
        if (folder / "_toc.yml").exists() and (folder / "notebooks").is_dir():
            return folder / "notebooks"
    raise BatchError(
        f"{here} is in no checkout of the project; clone it and call this there, or name notebooks by path"
    )


def _read(path):
    jupytext = _imported("jupytext")
    try:
        return jupytext.read(path)
    except (OSError, ValueError) as error:
        raise BatchError(f"{path} cannot be read as a notebook: {error}") from error


def _imported(name):
    from importlib import import_module

    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise BatchError(f'running notebooks needs {name}; install it with: pip install "avnb[book]"') from error


def _key(job):
    """A hash of what the executed notebook rests on, as far as it is known before it runs; see the module."""
    cells = [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in _read(job.notebook).cells]
    rests_on = [
        cells,
        job.parameters,
        package_hash(),
        _clips(job.parameters.get("dataset")),
    ]
    if job.model is not None:
        rests_on.append(_checkpoint(job.model))
    else:
        folder = job.target.parent
        rests_on.append(
            [(str(path.relative_to(folder)), file_hash(path)) for path in sorted(folder.rglob("*--*.parquet"))]
        )
    return hashlib.sha256(json.dumps(rests_on, sort_keys=True, default=str).encode()).hexdigest()


def _checkpoint(name):
    """The content of a model's folder, and how it is loaded; of a Hub id only its name: no revision is known."""
    wanted = asked.read(name)
    folder = models.CHECKPOINTS / wanted.name if wanted.name in models.organisms() else asked.folder(wanted.name)
    if folder is None:
        return name
    return [wanted.suffix] + [(path.name, file_hash(path)) for path in sorted(folder.glob("*")) if path.is_file()]


def _clips(dataset):
    """The clips of a set that is given by a path, with the content of their files; None for any other set."""
    path = Path(str(dataset))
    if not path.exists():
        return None
    try:
        return clips_fingerprint(from_path(path))
    except (AvnbError, OSError):  # the notebook will tell
        table = table_of(path)
        return None if table is None else file_hash(table)


def _is_kept(path, key):
    """Whether an executed notebook has this key, and the tables that it asked for are there."""
    try:
        about = json.loads(path.read_text(encoding="utf8"))["metadata"]["avnb"]
        return about["key"] == key and all(path.with_name(name).is_file() for name in about.get("tables", ()))
    except (OSError, ValueError, KeyError, TypeError):
        return False
