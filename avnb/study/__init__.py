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
import inspect
import json
from importlib import import_module
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from avnb import models, stats
from avnb.analyses import check_analysis
from avnb.files import cache_folder, digest, safe_name
from avnb.study.fingerprints import clips_fingerprint, code_fingerprint, made_with, model_fingerprint
from avnb.study.tables import StudyError, collect, joined, kept, read, read_about, write

__all__ = ["StudyError", "collect", "means", "measure", "read", "read_about"]


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
    module = import_module(f"avnb.analyses.{known.module}")
    function = getattr(module, known.function)
    clips = list(clips)
    if not clips:
        raise StudyError(f"{analysis} was asked for without a clip; give at least one")
    model = models.load(model) if isinstance(model, str) else model
    options = _options(analysis, function, options, seed)
    if options.get("base", "") is None:  # named, so that the table is of this base and its weights
        options["base"] = models.base_of(model.name)
    about = {"analysis": analysis, "model": model.name, "dataset": str(dataset), "seed": seed, "parameters": options}
    folder = cache_folder() / "tables" if out is None else Path(out)
    name = "--".join(safe_name(text) for text in (model.name, Path(str(dataset)).stem, analysis))
    ids = [clip.id for clip in clips]
    path = folder / f"{name}--{digest([about, ids])}.parquet"
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
        arguments["out"] = str(folder / "clips" / digest(media))
    parts = folder / f".{name}--{digest(about)}.part"
    if known.by_clip:
        finished = [parts / f"{digest([code, weights, print_])}.parquet" for print_ in media]
        bar = tqdm(
            zip(clips, finished, strict=True), f"{analysis}, {model.name}", len(clips), unit="clip", disable=None
        )
        table = joined([kept(shard, lambda clip=clip: function(model, [clip], **arguments)) for clip, shard in bar])
    else:
        table = function(model, clips, **arguments)
    table.insert(0, "model", model.name)
    write(table, path, about | {"clips": ids, "fingerprints": fingerprints, "made_with": made_with(model)})
    if known.by_clip:
        for shard in finished:
            shard.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # another run may be at work in it
            parts.rmdir()
    return read(path)


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
    summary = getattr(import_module(f"avnb.analyses.{known.module}"), "summary", None)
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
    return joined(found)


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
