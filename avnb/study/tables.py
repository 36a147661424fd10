"""Tables on disk: one Parquet file each, with what it is in its metadata."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from avnb.analyses import check_analysis
from avnb.errors import AvnbError
from avnb.files import whole
from avnb.study.fingerprints import code_fingerprint

_KEY = b"avnb"  # under which a Parquet file holds what its table is


class StudyError(AvnbError):
    """A table cannot be measured or read: says what was asked and what to do."""


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
    return joined([found[model] for model in sorted(found)])


def kept(path, function):
    """The table in a file, which is made by the function if it is not there."""
    if not path.exists():
        write(function(), path, {})
    return read(path)


def joined(tables):
    """Tables on top of each other; those without rows only lend their columns."""
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else (tables[0] if tables else pd.DataFrame())


def write(table, path, about):
    """Writes a table under a temporary name first, so that a file with the right name is complete."""
    stored = pa.Table.from_pandas(table, preserve_index=False)
    stored = stored.replace_schema_metadata({**stored.schema.metadata, _KEY: json.dumps(about).encode()})
    with whole(path) as partial:
        pq.write_table(stored, partial)
