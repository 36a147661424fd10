"""Analyses by name, with their tables kept on disk: measured once, read ever after, resumed when interrupted.

>>> clips = avnb.datasets.load("toybox", n=2)
>>> table = measure("fidelity", "toy-omni", clips, dataset="toybox")
>>> table.equals(measure("fidelity", "toy-omni", clips, dataset="toybox"))  # read from disk
True

A table is one Parquet file. Its name follows from the model, the data set, the analysis, the parameters and the clip
ids; its metadata hold all of these, the versions of the packages, and fingerprints of the code that the analysis rests
on, of the model with its processor, and of the clips' files. A table whose fingerprints are not those of today is
measured again, so that a retrained model is never answered for by an old one. Where only clips have changed, these
alone are, unless the analysis sets its clips against each other (lens).
"""

import contextlib
import inspect
import json
import logging
import os
from functools import partial
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from avnb import analyses, datasets, models, stats
from avnb import judge as judges
from avnb.files import cache_folder, digest, file_name, safe_name
from avnb.study.answering import answered, clips_at_once
from avnb.study.fingerprints import clips_fingerprint, code_fingerprint, made_with, model_fingerprint
from avnb.study.parts import MADE, Parts, sweep_made
from avnb.study.settings import unfit
from avnb.study.shipped import Asked, find
from avnb.study.tables import StudyError, ask_again, collect, joined, left_out, read, read_about, write

__all__ = ["StudyError", "collect", "left_out", "means", "measure", "read", "read_about", "table"]

SCHEDULER = "AVNB_SCHEDULER"  # environment variable: whose workers measure tables, see `workers`

logger = logging.getLogger(__name__)


def table(analysis, model, *, dataset, n, seed=0, each=None, kinds=None, out=None, **options) -> pd.DataFrame:
    """The table of one analysis of a set of clips: the one that comes with the package, else measured or read.

    Shipped are tables of the organisms over the test clips of their cards (`ship.TABLES`); clips are then neither drawn
    nor read. A shipped table that holds more than is asked for (questions, inputs, cuts, kinds of clips) is cut to it.

    Args:
        analysis: a name of `ANALYSES`, or "MODULE.FUNCTION" of another function, such as "knockout.scores".
        model: an AVLLM from `avnb.load`, or its name.
        dataset, n, seed: of the clips, as in `datasets.load`; seed also of what is drawn at random.
        each: how many clips of each kind to take, the first ones; None for all.
        kinds: of the clips to take, e.g. ["counterfactual"]; None for all.
        out: as in `measure`.
        **options: of the analysis, as in `measure`.

    Returns:
        DataFrame, as `measure` gives it.

    Raises:
        AnalysisError, DatasetError, StudyError: as `measure` and `datasets.load`.

    Example:
        >>> found = table("fidelity", "toy-omni", dataset="toybox", n=400, seed=77, inputs=["both"])
        >>> found.groupby("kind")["clip"].nunique().to_dict()
        {'counterfactual': 200, 'factual': 200}
    """
    model = models.load(model) if isinstance(model, str) else model
    wanted, others = asked(analysis, model, dataset, n, seed, each, kinds, options)
    if (found := find(wanted, [model, *others])) is not None:
        return found
    clips = wanted.clips(datasets.load(dataset, n=n, seed=seed, fewer=True))
    return measure(analysis, model, clips, dataset=dataset, seed=seed, out=out, **options)


def measure(
    analysis, model, clips, *, dataset, seed=0, out=None, retry=False, share=None, load=None, **options
) -> pd.DataFrame:
    """The table of one analysis, measured on first use and read from disk afterwards.

    An interrupted measurement goes on where it stopped, job by job. A clip that cannot be used is left out, and named
    at every call; one whose file was out of reach is asked about again at the next call.

    Args:
        analysis: a name of `ANALYSES`.
        model: an AVLLM from `avnb.load`, or its name.
        clips: the clips.
        dataset: what the set of clips is called, for the table's name.
        seed: handed to analyses that draw at random.
        out: folder for tables; None is `tables` in the cache folder. Clips that an analysis makes are kept in `.made`
            there, for the next model, until none was used for a day.
        retry: ask again about the clips that were left out, and have answers without a score judged again.
        share: a slice of the jobs. Where there is no table yet, only their parts are measured, and their rows given as
            they are; the table is left to a call without it.
        load: what loads a model by its name; None is `models.load`.
        **options: of the analysis; names, numbers, or lists of them.

    Returns:
        DataFrame: model (its name), then the columns of the analysis; tuples have become lists. `attrs["left_out"]`
        tells which clips have no rows, and why; `attrs["passing"]` lists those of them that the next call asks about.

    Raises:
        AnalysisError: no such analysis, or none that these clips allow.
        StudyError: no clips, or an option that the analysis does not have, is not plain JSON or no such value.

    Example:
        >>> clips = avnb.datasets.load("toybox", n=2)
        >>> measure("fidelity", "toy-omni", clips, dataset="toybox", inputs=["both"]).groupby("kind").size().to_dict()
        {'counterfactual': 4, 'factual': 4}
    """
    settings = {"dataset": dataset, "seed": seed, "out": out, "retry": retry, "share": share, "load": load}
    todo = steps(analysis, model, clips, **settings, **options)
    found = None
    while True:
        try:
            works = [work for _, work in todo.send(found)]
        except StopIteration as end:
            return end.value
        found = [works[0]()] if len(works) == 1 else answered(works)


def steps(
    analysis,
    model,
    clips,
    *,
    dataset,
    seed=0,
    out=None,
    retry=False,
    share=None,
    load=None,
    at_once=None,
    **options,
):
    """What `measure` does, step by step, for whoever does the work of several analyses at once (`together`).

    Args:
        analysis, model, clips, dataset, seed, out, retry, share, load, **options: as there.
        at_once: jobs of a step, at most; None for as many as the analysis can do with and memory allows.

    Yields:
        List of (job, work): a `Job` that has no rows yet, and a function without arguments that gives them; these are
        to be sent back, as `Parts.fill` says.

    Returns:
        The table.
    """
    known, module = analyses.find(analysis)
    function = getattr(module, known.function)
    clips = list(clips)
    if not clips:
        raise StudyError(f"{analysis} was asked for without a clip; give at least one")
    load = load or models.load
    model = load(model) if isinstance(model, str) else model
    given, options = options, _options(analysis, function, options, seed)
    others = _others(model, options, load)
    about = {"analysis": analysis, "model": model.name, "dataset": str(dataset), "seed": seed, "parameters": options}
    folder = cache_folder() / "tables" if out is None else Path(out)
    name = file_name("--".join(safe_name(text) for text in (model.name, Path(str(dataset)).stem, analysis)))
    path = folder / f"{name}--{digest([about, [clip.id for clip in clips]])}.parquet"
    code = code_fingerprint(analysis)
    weights = [model_fingerprint(each) for each in (model, *others.values())]
    fingerprints = {"code": code, "weights": weights, "clips": [clips_fingerprint([clip]) for clip in clips]}
    kept = _kept(path, fingerprints)
    unfinished, made = path.with_name(f".{path.stem}.part"), folder / MADE
    if kept is None or kept.attrs["left_out" if retry else "passing"]:
        arguments = options | others
        if "out" in inspect.signature(function).parameters:
            arguments["out"] = str(made)
        if share is None and SCHEDULER in os.environ and model.source is not None:
            from avnb.study import workers

            workers.fill(
                analysis, model.source, weights[0], clips, dataset=dataset, seed=seed, out=out, retry=retry, **given
            )
        jobs = planned(analysis, clips, options)
        parts = Parts(unfinished, [code, weights], jobs)
        if kept is None:
            with contextlib.suppress(StudyError, KeyError):
                parts.restore(read(path).drop(columns="model"), read_about(path)["sizes"])
        title = f"{analysis}, {model.name}"
        some = jobs[share or slice(None)]
        measured = partial(function, model, **arguments)
        at_once = at_once or (clips_at_once(model) if known.plain else 1)
        table = yield from _by_job(parts, some, measured, title, options, at_once)
        if share is not None:
            return table
        found, rows = table.attrs, table
        table = analyses.related(known, module, rows)
        if table is not rows:
            found.pop("sizes")  # its rows are not those of the jobs
        table.insert(0, "model", model.name)
        about |= {"clips": [clip.id for clip in clips], "fingerprints": fingerprints, "made_with": made_with(model)}
        write(table, path, about | found)
        parts.sweep(keep=bool(found["left_out"]))
        kept = read(path)
    else:
        for clip, reason in kept.attrs["left_out"].items():  # as was said when it was measured
            logger.warning("left out clip %s: %s", clip, reason)
        if not kept.attrs["left_out"]:
            Parts(unfinished, [], []).sweep()  # of a call that was killed before it could
    sweep_made(made)
    if retry and {"answer", "modality", "value"} <= {*kept} and kept["value"].isna().any():
        write(judges.again(kept, clips, options["judge"], progress=True), path, read_about(path))
        kept = read(path)
    return kept


def planned(analysis, clips, options=None) -> list:
    """The jobs of a measurement, in their order.

    Args:
        analysis: a name of `ANALYSES`.
        clips: the clips.
        options: of the analysis, by name.

    Example:
        >>> len(planned("fidelity", avnb.datasets.load("toybox", n=2)))
        2
    """
    plan = analyses.find(analysis)[1].plan
    planned_by = inspect.signature(plan).parameters
    return plan(clips, **{name: value for name, value in (options or {}).items() if name in planned_by})


def _by_job(parts, jobs, function, title, options, at_once):
    """`Parts.fill`; says what a judge by model will be asked, once that is known."""
    taken = getattr(judges.named(options["judge"]) if "judge" in options else None, "taken", [])
    n_before = len(taken)

    def measured(job):
        first = len(taken) == n_before
        rows = function([job])
        if first and len(taken) > n_before:
            judges.foretell(options["judge"], (len(taken) - n_before) * (len(jobs) - 1 - jobs.index(job)))
        return rows

    return parts.fill(tqdm(jobs, title, unit="job", disable=None), measured, at_once)


def _kept(path, fingerprints):
    """The table on disk, if it holds: a damaged or outdated one is measured again."""
    with contextlib.suppress(StudyError):
        if path.exists() and read_about(path).get("fingerprints") == fingerprints:
            table = read(path)
            with contextlib.suppress(OSError):  # a folder that is only read
                ask_again(path)
            return table
    return None


def means(analysis, table, seed=0) -> pd.DataFrame:
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
    known, module = analyses.find(analysis)
    summary = getattr(module, "summary", None)
    found = []
    for model, rows in table.groupby("model", sort=False):
        if "reason" in rows:
            unscored = rows.loc[rows["value"].isna(), "reason"]
            for reason, n in unscored.str.split(":").str[0].value_counts().items():  # what follows differs by answer
                logger.warning("%s, %s: %d of %d values are missing: %s", analysis, model, n, len(rows), reason)
            rows = rows.drop(unscored.index)
        if rows.empty:
            continue
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


def asked(analysis, model, dataset, n, seed, each, kinds, options):
    """What `table` is asked for, with all defaults, and the models that the analysis compares with."""
    known, module = analyses.find(analysis)
    options = _options(analysis, getattr(module, known.function), options, seed)
    others = _others(model, options)
    return Asked(analysis, model.name, str(dataset), n, seed, each, kinds, options), list(others.values())


def _others(model, options, load=None):
    """The models that an analysis compares with, loaded once, not once per clip; named in the options."""
    if options.get("base", "") is None:  # named, so that the table is of this base and its weights
        options["base"] = models.base_of(model.name)
    return {key: (load or models.load)(options[key]) for key in ("base",) if isinstance(options.get(key), str)}


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
        if name in given and (advice := unfit(value, known[name])):
            raise StudyError(f"{analysis}: {name}={value!r}; {advice}, as {known[name]!r}")
    return options
