"""Tables of clips on disk, and their media: manifests, and CSV, Parquet or JSON whatever the columns are called.

A table needs a video for each clip: a column of paths, or files that are called like the clips. The rest has defaults:
the id is that of the recording and its start, else the name of the file, and the kind is factual. Rows of one clip are
one clip with several captions. Clips whose files are missing are counted, listed and left out.
"""

import csv
import hashlib
import json
import logging
from collections import defaultdict
from dataclasses import replace
from functools import cached_property
from itertools import chain, islice
from pathlib import Path

import pandas as pd

from avnb.datasets.columns import NAMES, SOUNDS, VIDEOS, ending, flat, kind, recording, texts, understood
from avnb.datasets.manifest import TEXTS, DatasetError, checked_ids, clip_of, lines
from avnb.files import cache_folder, digest, file_name, whole
from avnb.media.clip import MANIFEST, Clip
from avnb.text import listed

TABLES = (".jsonl", ".json", ".csv", ".tsv", ".parquet")

_IDS = ("id", "youtube_id", "audiocap_id")  # columns after which a clip's file may be called

logger = logging.getLogger(__name__)


def table_of(path):
    """The file that describes the clips of a path: itself, or the table of a folder; None if a folder has none."""
    if path.is_file():
        return path
    names = (MANIFEST, *(f"metadata{suffix}" for suffix in TABLES))
    return next((path / name for name in names if (path / name).is_file()), None)


def from_path(path):
    """Clips of a file (a manifest or another table) or of a folder (one with a table, or with videos alone)."""
    table = table_of(path)
    if table is not None:
        return clips_of(rows_of(table), table.parent, table.name)
    videos = media_in(path.iterdir(), VIDEOS)
    if not videos:
        raise DatasetError(f"{path} holds neither {MANIFEST} nor a video ({', '.join(VIDEOS)}); check the path")
    return checked_ids([Clip(file_name(video.stem), video) for video in videos], path.name)


def media_in(paths, suffixes):
    return sorted(path for path in paths if path.suffix.lower() in suffixes and not path.name.startswith("."))


def rows_of(path):
    """The rows of a table on disk: pairs of where a row stands and what it holds."""
    if path.suffix == ".jsonl":
        return lines(path)
    if path.suffix not in TABLES:
        raise DatasetError(f"{path.name} is no manifest or other table ({', '.join(TABLES)}); give one, or a folder")
    try:
        rows = [(f"{path.name}, row {number}", row) for number, row in enumerate(_read(path), 1)]
    except (OSError, TypeError, ValueError, RecursionError, csv.Error) as error:
        raise DatasetError(f"{path.name} cannot be read ({error}); write a table with a row for each clip") from error
    if not rows or not all(isinstance(row, dict) for _, row in rows):
        raise DatasetError(f"{path.name} holds no clips; write a row for each, with names of columns")
    return rows


def _read(path):
    if path.suffix == ".parquet":
        return pd.read_parquet(path).to_dict("records")
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix != ".json":
            return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
        content = json.load(file)
    return [{"id": name, **row} for name, row in content.items()] if isinstance(content, dict) else content


def clips_of(rows, folder, source, *, needed=("video",), media=None, peek=None) -> list:
    """Clips of the rows of a table.

    Args:
        rows: pairs of where a row stands and the row, a dict.
        folder: that paths start from, and below which files are looked for by their names.
        source: what the table is called in messages.
        needed: fields that the columns have to tell; "video" is also told by files that are called like the clips.
        media: folder to write embedded media to; default one in the cache.
        peek: how many rows to look at to understand the columns; default all.

    Returns:
        list of `Clip`, in the order of the rows.

    Raises:
        DatasetError: the columns or a value cannot be understood, or no clip has its files.
    """
    files = _Files(Path(folder), Path(media or cache_folder() / "media" / digest([str(folder), source])))
    rows = ((where, flat(row)) for where, row in rows)
    first = list(islice(rows, peek))
    columns = understood([row for _, row in first], files.is_there)
    called = (name for where, row in first for name in _called(row, columns, where))
    named = "video" in columns or any(map(files.is_there, called))
    missing = [field for field in needed if field not in columns and not (field == "video" and named)]
    if missing:
        raise DatasetError(_not_understood(missing, [row for _, row in first], files, source))
    clips, absent = {}, {}
    for where, row in chain(first, rows):
        called = _called(row, columns, where)
        fields = _fields(row, columns, where)
        try:
            fields["video"] = files.find(fields.get("video"), called, "video", where)
            if fields.get("audio"):
                fields["audio"] = files.find(fields["audio"], [], "audio", where)
        except FileNotFoundError as error:
            absent.setdefault(str(error), f"{where}: {error}")
            continue
        name = called[0] if called else fields["video"].stem
        _put(clips, clip_of({**fields, "id": file_name(name)}, where), source)
    if absent:
        told = (
            f"{len(absent)} of {len(absent) + len(clips)} clips lack their files in {folder}: {listed(absent.values())}"
        )
        if not clips:
            raise DatasetError(f"{source}: {told}; put them there, or correct the paths (relative to the table)")
        logger.warning("%s: %s; they are left out", source, told)
        for one in absent.values():
            logger.info("no file: %s", one)
    return list(clips.values())


def _called(row, columns, where):
    """The names of a clip, its id first; files may be called like any of them."""
    given = [row.get(name) for name in columns.get("id", ())]
    if odd := [name for name in given if isinstance(name, bool | list | dict)]:
        raise DatasetError(f"{where}: the id is {odd[0]!r}; give a text")
    names = [*given, recording(row), *(row.get(name) for name in _IDS)]
    return list(
        dict.fromkeys(Path(str(name)).stem if ending(name) else str(name) for name in names if name not in (None, ""))
    )


def _fields(row, columns, where):
    """The fields of a clip that a row holds, but for its id."""
    fields = {field: row.get(names[0]) for field, names in columns.items() if field != "id"}
    if fields.get("kind") not in (None, ""):
        fields["kind"] = kind(fields["kind"], columns["kind"][0]) or fields["kind"]
    for field in TEXTS:
        names = columns.get(field, () if field in NAMES else (field,))
        found = [value for name in names if (value := texts(row.get(name))) not in (None, "")]
        if field.endswith("captions"):
            found = [[value] if isinstance(value, str) else value for value in found]
        fields[field] = sum(found, []) if all(isinstance(value, list) for value in found) else found[0]
        if field.endswith("captions") and all(isinstance(text, str) for text in fields[field]):
            fields[field] = [" ".join(text.split()) for text in fields[field] if text.strip()]
    return fields


def _put(clips, clip, source):
    """Puts a clip to the others; one that is there already gets its captions."""
    known = clips.setdefault(clip.id, clip)
    if known is not clip:
        captions = {
            field: tuple(dict.fromkeys(getattr(known, field) + getattr(clip, field)))
            for field in ("video_captions", "audio_captions")
        }
        clips[clip.id] = replace(known, **captions)
        if replace(clip, **captions) != clips[clip.id] or not any(captions.values()):
            raise DatasetError(f"{source}: the id {clip.id!r} stands for several clips; give every clip its own")


def _not_understood(missing, rows, files, source):
    """What to say if columns do not tell what is needed."""
    seen = {name: value for row in reversed(rows) for name, value in row.items() if value not in (None, "")}
    found = "; ".join(f"{name} ({_shown(value)})" for name, value in seen.items())
    advice = " and ".join(f"one to {NAMES[field][0]!r}" for field in missing)
    if "video" in missing:
        advice += f", or call the videos like the clips (below {files.folder} there are {len(files.videos)} videos)"
    return f"{source} does not tell the {' and '.join(missing)} of a clip. Its columns: {found}. Rename {advice}"


def _shown(value):
    if isinstance(value, dict):
        return f"{ending(value) or 'unknown'} medium"
    return repr(value if len(str(value)) <= 40 else f"{str(value)[:39]}…")


class _Files:
    """The media of a table: files below a folder, and embedded ones, which become files in another folder."""

    def __init__(self, folder, media):
        self.folder, self.media = folder, media

    @cached_property
    def videos(self):
        """Videos by the stem of their name."""
        return self._by_stem(VIDEOS)

    @cached_property
    def sounds(self):
        return self._by_stem(SOUNDS)

    def _by_stem(self, suffixes):
        found = defaultdict(list)
        for path in media_in(self.folder.rglob("*"), suffixes):
            found[path.stem].append(path)
        return found

    def is_there(self, name):
        return str(name) in self.videos

    def find(self, value, called, field, where):
        """The file of a clip: by its path or the end of it, where one is given, else by what the clip is called.

        Raises:
            FileNotFoundError: it is not there, or there are several that it could be.
        """
        if isinstance(value, dict):
            if value.get("bytes") is not None:
                return self._written(value, called, field, where)
            value = value.get("path")
        if not isinstance(value, str | None):
            raise DatasetError(f"{where}: {field} is {value!r}; give the path of a file")
        if value and (self.folder / value).is_file():
            return self.folder / value
        known = self.videos if field == "video" else self.sounds
        if value and ending(value):
            end = Path(value).parts
            paths = [path for path in known.get(Path(value).stem, ()) if path.parts[-len(end) :] == end]
        else:
            paths = next((known[name] for name in [value, *called] if name in known), [])
        if len(paths) != 1:
            raise FileNotFoundError(value or (called[0] if called else f"no {field}"))
        return paths[0]

    def _written(self, value, called, field, where):
        """The file of an embedded medium."""
        suffix = ending(value)
        if not suffix:
            known = ", ".join(VIDEOS + SOUNDS)
            raise DatasetError(f"{where}: embedded {field} {value.get('path') or ''} is no medium ({known})")
        name = called[0] if called else digest(hashlib.sha256(value["bytes"]).hexdigest())
        file = self.media.resolve() / f"{file_name(f'{name}-{field}')}{suffix}"
        if not file.exists() or file.read_bytes() != value["bytes"]:  # the table may have become another one
            with whole(file) as partial:
                partial.write_bytes(value["bytes"])
        return file
