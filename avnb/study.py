"""Analyses by name, with their tables kept on disk: measured once, read ever after, resumed when interrupted.

>>> clips = avnb.datasets.load("toybox", n=2)
>>> table = measure("fidelity", "toy-omni", clips, dataset="toybox")
>>> table.equals(measure("fidelity", "toy-omni", clips, dataset="toybox"))  # read from disk
True

A table is one Parquet file. Its name follows from the model, the data set, the analysis, the parameters and the clip
ids; its metadata hold all of these, the versions of the packages, and fingerprints of the code of `avnb`, of the
model with its processor, and of the clips' files. A table whose fingerprints are not those of today is measured again,
so that a retrained model is never answered for by an old one.
"""

import contextlib
import hashlib
import inspect
import json
import os
import platform
import re
import tempfile
from dataclasses import asdict
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tqdm import tqdm

from avnb import datasets, models, stats


class Analysis(NamedTuple):
    """Where an analysis lives, and how its table is made and read."""

    module: str  # of avnb; imported when it is used
    function: str  # f(model, clips, ...) -> DataFrame
    by_clip: bool  # the table of many clips is the tables of single clips
    means_by: tuple[str, ...] = ()  # columns by which `means` averages; none if the module has a `summary`


ANALYSES = {
    "fidelity": Analysis("fidelity", "measure", True, ("kind", "inputs", "question", "modality")),
    "swap": Analysis("swap", "margins", False),
    "attention": Analysis("attention", "measure", True, ("kind", "layer", "head", "step", "group")),
    "lens": Analysis("lens", "latent_recall", False, ("kind", "quantity")),
    "knockout": Analysis("knockout", "sweep", True, ("kind", "question", "modality", "blocked", "start", "stop")),
    "tokens": Analysis("tokens", "shift", False),
}

_KEY = b"avnb"  # under which a Parquet file holds what its table is
_PACKAGES = ("avnb", "torch", "transformers", "numpy", "pandas", "pyarrow", "av", "soxr")
_NOT_MEASURING = (
    "plots", "batch.py", "cli.py", "doctor.py", "generalisation.py", "paper.py", "show.py", "speed.py",
    "cards.py", "dose.py", "exam.py", "learner.py", "recipes.py", "response.py", "train.py",
)  # fmt: skip
_N_SAMPLED = 4096  # weights of a tensor that its fingerprint looks at


class StudyError(ValueError):
    """A table cannot be measured or read: says what was asked and what to do."""


def measure(analysis, model, clips, *, dataset, seed=0, out=None, **options):
    """The table of one analysis, measured on first use and read from disk afterwards.

    An interrupted measurement goes on where it stopped, clip by clip ("swap", "lens" and "tokens", which set clips
    against each other, start anew).

    Args:
        analysis: a name of `ANALYSES`.
        model: an AVLLM from `avnb.load`, or its name.
        clips: the clips.
        dataset: what the set of clips is called, for the table's name.
        seed: handed to analyses that draw at random.
        out: folder for tables (and for clips that an analysis makes); None is `tables` in the cache folder.
        **options: of the analysis; names, numbers, or lists of them.

    Returns:
        DataFrame: model (its name), then the columns of the analysis; tuples have become lists.

    Raises:
        StudyError: no such analysis, no clips, an option that the analysis does not have or that is not plain JSON.

    Example:
        >>> clips = avnb.datasets.load("toybox", n=2)
        >>> measure("fidelity", "toy-omni", clips, dataset="toybox").groupby("kind").size().to_dict()
        {'counterfactual': 4, 'factual': 4}
    """
    known = check_analysis(analysis)
    module = import_module(f"avnb.{known.module}")
    function = getattr(module, known.function)
    clips = list(clips)
    if not clips:
        raise StudyError(f"{analysis} was asked for without a clip; give at least one")
    model = models.load(model) if isinstance(model, str) else model
    options = _options(analysis, function, options, seed)
    if options.get("base", "") is None:  # named, so that the table is of this base and its weights
        options["base"] = module.base_of(model.name)
    about = {"analysis": analysis, "model": model.name, "dataset": str(dataset), "seed": seed, "parameters": options}
    folder = datasets.cache_folder() / "tables" if out is None else Path(out)
    name = "--".join(safe_name(text) for text in (model.name, Path(str(dataset)).stem, analysis))
    ids = [clip.id for clip in clips]
    path = folder / f"{name}--{_digest([about, ids])}.parquet"
    # A second model that an analysis compares with is loaded once, not once per clip.
    others = {key: models.load(options[key]) for key in ("base",) if isinstance(options.get(key), str)}
    code, weights = code_fingerprint(), [model_fingerprint(each) for each in (model, *others.values())]
    media = [clips_fingerprint([clip]) for clip in clips]
    fingerprints = {"code": code, "weights": weights, "clips": media}
    if path.exists() and read_about(path).get("fingerprints") == fingerprints:
        with contextlib.suppress(OSError):  # `collect` takes the table that was last asked for; others may own the file
            path.touch()
        return read(path)
    arguments = options | others
    if "out" in inspect.signature(function).parameters:
        arguments["out"] = str(folder / "clips" / _digest(media))
    parts = folder / f".{name}--{_digest(about)}.part"
    if known.by_clip:
        finished = [parts / f"{_digest([code, weights, print_])}.parquet" for print_ in media]
        bar = tqdm(
            zip(clips, finished, strict=True), f"{analysis}, {model.name}", len(clips), unit="clip", disable=None
        )
        table = _joined([_kept(shard, lambda clip=clip: function(model, [clip], **arguments)) for clip, shard in bar])
    else:
        table = function(model, clips, **arguments)
    table.insert(0, "model", model.name)
    _write(table, path, about | {"clips": ids, "fingerprints": fingerprints, "made_with": _made_with(model)})
    if known.by_clip:
        for shard in finished:
            shard.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # another run may be at work in it
            parts.rmdir()
    return read(path)


def read(path):
    """The table in a file that `measure` wrote; lists are Python lists.

    Raises:
        StudyError: the file cannot be read.
    """
    try:
        stored = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise StudyError(f"{path} cannot be read as a table ({error}); delete it and measure again") from error
    table = stored.to_pandas()
    for field in stored.schema:
        if pa.types.is_list(field.type):
            table[field.name] = [value if value is None else list(value) for value in table[field.name]]
    return table


def read_about(path):
    """What the table in a file is: analysis, model, dataset, seed, parameters, clips (ids), fingerprints, made_with.

    Raises:
        StudyError: the file cannot be read, or `measure` did not write it.
    """
    try:
        found = (pq.read_schema(path).metadata or {}).get(_KEY)
    except (OSError, pa.ArrowInvalid) as error:
        raise StudyError(f"{path} cannot be read as a table ({error}); delete it and measure again") from error
    if found is None:
        raise StudyError(f"{path} was not written by avnb.study.measure; keep other Parquet files elsewhere")
    return json.loads(found)


def collect(folder, analysis, *, names=None, dataset=None, seed=None, alike=(), holds=lambda table, about: True):
    """The tables of one analysis below a folder, one for each model: the one that was last asked for.

    Tables of other code than today's are left out, and tables of other weights than those of the model's newest table
    (of any analysis), so that what stands side by side was measured alike.

    Args:
        folder: e.g. the folder that `avnb run` wrote to.
        analysis: a name of `ANALYSES`.
        names: of the models to take; None takes all.
        dataset, seed: what `measure` was given; None takes any.
        alike: parameters of the analysis that all tables share with the newest; others are left out.
        holds: takes a table and what `read_about` tells of it; False leaves it out, e.g. one of another question.

    Returns:
        DataFrame: the tables on top of each other; empty if there are none.

    Raises:
        StudyError: the folder does not exist, or a table cannot be read.
    """
    check_analysis(analysis)
    if not Path(folder).is_dir():
        raise StudyError(f"{folder} is no folder; give one that `avnb run --out` or `avnb measure --out` wrote to")
    wanted = {key: value for key, value in {"dataset": dataset, "seed": seed}.items() if value is not None}
    found, weights, shared = {}, {}, None
    for path in sorted(Path(folder).rglob("*--*.parquet"), key=lambda path: (-path.stat().st_mtime, path)):
        about = read_about(path)
        model, prints = about["model"], about["fingerprints"]
        is_current = weights.setdefault(model, prints["weights"][0]) == prints["weights"][0]
        is_current &= prints["code"] == code_fingerprint()
        if not is_current or about["analysis"] != analysis or model in found or (names and model not in names):
            continue
        parameters = {name: about["parameters"].get(name) for name in alike}
        if shared not in (None, parameters) or any(about[key] != value for key, value in wanted.items()):
            continue
        table = read(path)
        if holds(table, about):
            found[model], shared = table, parameters
    return _joined([found[model] for model in sorted(found)])


def means(analysis, table, seed=0):
    """What a table says in short: means with bootstrap 95 % intervals over clips.

    Args:
        analysis: a name of `ANALYSES`.
        table: from `measure`, of one or several models.
        seed: of the resampling.

    Returns:
        DataFrame: model, what the means are about (depends on the analysis), mean, low, high, n.

    Example:
        >>> clips = avnb.datasets.load("toybox", n=4)
        >>> found = means("lens", measure("lens", "toy-omni", clips, dataset="toybox"))
        >>> found.groupby("kind")["quantity"].agg(list).to_dict()
        {'counterfactual': ['value', 'null'], 'factual': ['value', 'null']}
    """
    known = check_analysis(analysis)
    summary = getattr(import_module(f"avnb.{known.module}"), "summary", None)
    found = []
    for model, rows in table.groupby("model", sort=False):
        if summary is None:
            if "quantity" in known.means_by:
                rows = pd.concat([rows.assign(quantity=name, value=rows[name]) for name in ("value", "null")])
            short = stats.summarise(rows, [name for name in known.means_by if name in rows], seed=seed)
        else:
            short = summary(rows, seed)
            if isinstance(short, dict):
                rows = [(name, *interval) for name, interval in short.items()]
                short = pd.DataFrame(rows, columns=["quantity", *stats.Interval._fields])
        short.insert(0, "model", model)
        found.append(short)
    return _joined(found)


def check_analysis(name):
    """The `Analysis` of a name; a StudyError lists those that there are."""
    if name not in ANALYSES:
        raise StudyError(f"there is no analysis {name!r}; use one of {', '.join(ANALYSES)}")
    return ANALYSES[name]


def check_model(name):
    """A StudyError if no model can have this name; nothing is loaded."""
    if name not in models.organisms() and "/" not in name and not Path(name).is_dir():
        known = ", ".join(models.organisms())
        raise StudyError(f"{name!r} is no organism ({known}), no folder and no Hub id (OWNER/NAME)")


def organisms(hearing=True):
    """Names of the shipped organisms that take sound; with hearing=False of all.

    Example:
        >>> "toy-omni" in organisms()
        True
    """
    return [name for name in models.organisms() if not hearing or models.load(name).hears]


def safe_name(text):
    """A text as part of a file name: "Qwen/Qwen2.5-Omni-3B" becomes "Qwen+Qwen2.5-Omni-3B".

    Example:
        >>> safe_name("Qwen/Qwen2.5-Omni-3B")
        'Qwen+Qwen2.5-Omni-3B'
    """
    return re.sub(r"[^\w.+-]", "_", str(text).strip("/").replace("/", "+"))


@cache
def code_fingerprint(everything=False):
    """A hash of the code of `avnb`; by default of what measurements rest on, which figures and the like do not."""
    package = Path(__file__).parent
    files = sorted(path.relative_to(package) for path in [*package.rglob("*.py"), *package.glob("*.json")])
    if not everything:
        files = [path for path in files if path.suffix == ".py" and not {*path.parts} & {*_NOT_MEASURING}]
    return _digest([(path.as_posix(), _file_hash(package / path)) for path in files])


def model_fingerprint(model):
    """A hash of a model: its settings, those of its processor, and weights spread over all of its tensors."""
    total = hashlib.sha256()
    settings = model.hf.config.to_dict()
    ignored = ("_name_or_path", "transformers_version")  # neither changes an answer, both differ between machines
    total.update(_digest({key: value for key, value in settings.items() if key not in ignored}).encode())
    total.update(_digest([_processor_settings(model), sorted(model.stop_ids)]).encode())
    for name, weight in sorted(model.hf.state_dict().items()):
        total.update(f"{name} {list(weight.shape)} {weight.dtype}".encode())
        if weight.device.type != "meta" and weight.numel():
            some = weight.detach().flatten()[:: max(1, weight.numel() // _N_SAMPLED)]
            total.update(some.contiguous().cpu().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()[:16]


def _processor_settings(model):
    """What a model's processor makes of a clip and a question; empty without one."""
    to_dict = getattr(model.processor, "to_dict", dict)  # a tokenizer alone has none
    template = getattr(model.processor, "chat_template", None)
    return to_dict(), template, model.tokenizer.get_vocab() if hasattr(model.tokenizer, "get_vocab") else {}


def clips_fingerprint(clips):
    """A hash of all that clips are, in this order, with the content of their files."""

    def described(clip):
        files = {key: _file_hash(value) for key in ("video", "audio") if (value := getattr(clip, key)) is not None}
        return asdict(clip) | files

    return _digest([described(clip) for clip in clips])


def _file_hash(path):
    if not Path(path).is_file():
        return "missing"
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _options(analysis, function, given, seed):
    """All parameters of an analysis as plain JSON, defaults included; `model`, `clips` and `out` are no options."""
    known = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in ("model", "clips", "out")
    }
    if unknown := [name for name in given if name not in known or name == "seed"]:
        names = ", ".join(name for name in known if name != "seed") or "none"
        raise StudyError(f"{analysis} has no option {unknown[0]!r}; it has {names}")
    options = {name: value for name, value in known.items() if value is not inspect.Parameter.empty} | given
    if "seed" in known:
        options["seed"] = seed
    for name, value in options.items():
        try:
            options[name] = json.loads(json.dumps(value))
        except (TypeError, ValueError) as error:
            raise StudyError(f"{analysis}: {name}={value!r} is no plain JSON; give names, numbers or lists") from error
    return options


def _kept(path, function):
    """The table in a file, which is made by the function if it is not there."""
    if not path.exists():
        _write(function(), path, {})
    return read(path)


def _joined(tables):
    """Tables on top of each other; those without rows only lend their columns."""
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else (tables[0] if tables else pd.DataFrame())


def _write(table, path, about):
    """Writes a table under a temporary name first, so that a file with the right name is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = pa.Table.from_pandas(table, preserve_index=False)
    stored = stored.replace_schema_metadata({**stored.schema.metadata, _KEY: json.dumps(about).encode()})
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
        partial = Path(folder, path.name)
        pq.write_table(stored, partial)
        os.replace(partial, path)


def _made_with(model):
    """The packages and the model behind a table, for readers; only fingerprints decide whether it holds."""
    config = model.hf.config
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
        "model": {
            "class": type(model.hf).__name__,
            "path": config.name_or_path,
            "revision": getattr(config, "_commit_hash", None),
            "dtype": str(model.hf.dtype),
            "device": str(model.device),
        },
    }
