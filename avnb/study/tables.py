"""Tables on disk: one Parquet file each, with what it is in its metadata."""

import json
import logging
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from avnb import analyses, models
from avnb.errors import AvnbError
from avnb.files import digest, whole
from avnb.study.fingerprints import code_fingerprint

_KEY = b"avnb"  # under which a Parquet file holds what its table is

logger = logging.getLogger(__name__)


class StudyError(AvnbError):
    """A table cannot be measured or read: says what was asked and what to do."""


def read(path):
    """The table in a file that `measure` wrote; lists are Python lists, `attrs` tell what was left out.

    Raises:
        StudyError: the file cannot be read.
    """
    try:
        stored = pq.read_table(path, page_checksum_verification=True)
        about = _about(stored.schema) or {}
        if about.get("n_rows", len(stored)) != len(stored):
            raise ValueError(f"{about['n_rows']} rows were written, {len(stored)} are there")
        return _frame(stored, about)
    except Exception as error:  # a damaged file can raise anything
        raise StudyError(f"{path} cannot be read as a table ({error}); delete it and measure again") from error


def read_about(path):
    """What the table in a file is: analysis, model, dataset, seed, parameters, clips (ids), fingerprints, left_out
    (clips without rows, with the reason), passing (those of them whose reason may pass by itself), made_with, asked
    (when it was last asked for, in seconds since 1970), n_rows.

    Raises:
        StudyError: the file cannot be read, or `measure` did not write it.
    """
    try:
        about = _about(pq.read_schema(path))
    except Exception as error:  # a damaged file can raise anything
        raise StudyError(f"{path} cannot be read as a table ({error}); delete it and measure again") from error
    if about is None:
        raise StudyError(f"{path} was not written by avnb.study.measure; keep other Parquet files elsewhere")
    return about


def write(table, path, about):
    """Writes a table with what it is, whole or not at all. Returns it as `read` gives it."""
    stored = pa.Table.from_pandas(table, preserve_index=False)
    _store(stored, path, {"asked": time.time()} | about)
    return _frame(stored, about)


def ask_again(path):
    """Notes in a file that its table was asked for now. The time of a file does not survive a copy."""
    _store(pq.read_table(path, page_checksum_verification=True), path, read_about(path) | {"asked": time.time()})


def left_out(folder) -> pd.DataFrame:
    """The clips without rows in the tables below a folder.

    Returns:
        DataFrame: model, analysis, dataset, clip, reason.

    Raises:
        StudyError: a table cannot be read.
    """
    columns = ["model", "analysis", "dataset"]
    tables = [read_about(path) for path in sorted(Path(folder).rglob("*--*.parquet"))]
    rows = [[*map(about.get, columns), *each] for about in tables for each in about.get("left_out", {}).items()]
    return pd.DataFrame(rows, columns=[*columns, "clip", "reason"])


def _store(stored, path, about):
    """Pages have checksums of their own; a seal tells that names, types and what the table is are those written."""
    about = about | {"n_rows": len(stored)}
    about["seal"] = _seal(stored.schema, about)
    stored = stored.replace_schema_metadata({**(stored.schema.metadata or {}), _KEY: json.dumps(about).encode()})
    with whole(path) as partial:
        pq.write_table(stored, partial, write_page_checksum=True, compression="zstd")


def _about(schema):
    """What `write` was told of a table, None if it did not write it."""
    found = (schema.metadata or {}).get(_KEY)
    about = None if found is None else json.loads(found)
    if about is not None and {"seal", "n_rows"} & about.keys() and about.pop("seal", None) != _seal(schema, about):
        raise ValueError("what it says of itself was changed")
    return about


def _seal(schema, about):
    columns = [(field.name, field.type.id) for field in schema]
    return digest([columns, (schema.metadata or {}).get(b"pandas", b"").decode(), about])


def _frame(stored, about):
    table = stored.to_pandas()
    for field in stored.schema:
        if pa.types.is_list(field.type):
            table[field.name] = [value if value is None else list(value) for value in table[field.name]]
    table.attrs = {"left_out": about.get("left_out", {}), "passing": about.get("passing", [])}
    return table


def joined(tables):
    """Tables on top of each other; those without rows only lend their columns."""
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else (tables[0] if tables else pd.DataFrame())


def collect(
    folder, analysis, *, names=None, dataset=None, seed=None, alike=(), holds=lambda table, about: True
) -> pd.DataFrame:
    """The tables of one analysis below a folder, one for each model: the one that was last asked for.

    Tables of other code than today's are left out with a warning, and tables of other weights than those of the
    model's newest table (of any analysis), so that what stands side by side was measured alike.

    Args:
        folder: e.g. the folder that `avnb run` wrote to.
        analysis: a name of `ANALYSES`.
        names: of the models to take, as they were given; None takes all.
        dataset, seed: what `measure` was given; None takes any.
        alike: parameters of the analysis that all tables share with the newest; others are left out.
        holds: takes a table and what `read_about` tells of it; False leaves it out, e.g. one of another question.

    Returns:
        DataFrame: the tables on top of each other; empty if there are none.

    Raises:
        StudyError: the folder does not exist, or a table cannot be read.
    """
    analyses.find(analysis)
    if not Path(folder).is_dir():
        raise StudyError(f"{folder} is no folder; give one that `avnb run --out` or `avnb measure --out` wrote to")
    wanted = {key: value for key, value in {"dataset": dataset, "seed": seed}.items() if value is not None}
    wanted_names = None if names is None else {models.title_of(name) for name in names}
    found, weights, shared = {}, {}, None
    tables = [(read_about(path), path) for path in sorted(Path(folder).rglob("*--*.parquet"))]
    for about, path in sorted(tables, key=lambda each: -each[0]["asked"]):
        model, prints = about["model"], about["fingerprints"]
        is_current = weights.setdefault(model, prints["weights"][0]) == prints["weights"][0]
        if about["analysis"] != analysis or model in found or (wanted_names and model not in wanted_names):
            continue
        if prints["code"] != code_fingerprint(analysis) or not is_current:
            stale = "weights" if prints["code"] == code_fingerprint(analysis) else "code"
            logger.warning("%s is left out: it was measured with other %s; measure it again", path, stale)
            continue
        parameters = {name: about["parameters"].get(name) for name in alike}
        if shared not in (None, parameters) or any(about[key] != value for key, value in wanted.items()):
            continue
        table = read(path)
        if holds(table, about):
            found[model], shared = table, parameters
    return joined([found[model] for model in sorted(found)])
