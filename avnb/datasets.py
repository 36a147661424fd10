"""Sets of clips by name: the embedded toybox, published sets, and anyone's own files.

    >>> [clip.kind for clip in load("toybox", n=2)]
    ['factual', 'counterfactual']

A set on disk is a manifest: JSON Lines, one clip a line, with file paths relative to the manifest.
"""

import hashlib
import json
import logging
import os
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd

from avnb import curate
from avnb.clips import KINDS, MANIFEST, Clip

NAMES = ("toybox", "counterfactual-av-eval", "audiocaps")
COUNTERFACTUAL_AV_EVAL = "gamma-lab-umd/counterfactual-av-eval"  # on the Hugging Face Hub

_VIDEOS = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v")
_TEXTS = ("video_captions", "audio_captions", "seen", "heard")
_SAMPLE = '{"id": "dog-1", "video": "clips/dog-1.mp4", "audio_captions": ["A dog barks."]}'

# Under which names a published table may hold what a clip needs, most telling first.
_COLUMNS = {
    "id": ("id", "clip_id", "video_id", "youtube_id", "audiocap_id"),
    "video": ("video", "video_path", "video_file", "file_name"),
    "audio": ("audio", "audio_path", "audio_file"),
    "kind": ("kind", "type", "condition", "category", "subset", "is_counterfactual", "counterfactual"),
    "video_captions": ("video_captions", "video_caption", "visual_captions", "visual_caption"),
    "audio_captions": ("audio_captions", "audio_caption", "captions", "caption"),
}
_NEEDED = ("id", "video", "kind")

_FEWEST_SOURCES = 12  # toybox clips among which donors are looked for, so that a small set finds some
_NO_PART_OF_A_CLIP = (
    "cards.py", "dose.py", "exam.py", "learner.py", "organism.py", "pool.py", "recipes.py", "response.py", "train.py",
)  # fmt: skip

logger = logging.getLogger(__name__)


class DatasetError(ValueError):
    """A set of clips cannot be loaded: says which file and line, what is wrong and what to do."""


def load(name, split="test", n=None, seed=0, root=None):
    """Clips of a set.

    Args:
        name: "toybox" (drawn on first use: half factual with everything seen also heard, half counterfactual),
            "counterfactual-av-eval" (from the Hugging Face Hub), "audiocaps" (your own copy), or the path of a
            manifest, of a folder with a `manifest.jsonl`, or of a folder of videos.
        split: of a named set: "train", "validation" or "test". A path is taken as a whole.
        n: number of clips, as evenly over the kinds as they allow; default all (toybox: 40).
        seed: of the toybox: other seeds are other clips. Elsewhere: which `n` are drawn.
        root: toybox: where to keep the files, default `cache_folder()`. counterfactual-av-eval: a folder with a
            downloaded copy. audiocaps: the folder with your copy.

    Returns:
        list of `Clip`, factual ones first where the set tells the kinds apart.

    Raises:
        DatasetError: the set is unknown, incomplete, or cannot be understood.

    Example:
        >>> clip = load("toybox", n=2)[1]
        >>> set(clip.seen) & set(clip.heard)
        set()
    """
    if n is not None and n < 1:
        raise DatasetError(f"n={n} clips were asked for; use 1 or more, or None for all")
    if name == "toybox":
        return _toybox(split, 40 if n is None else n, seed, root)
    if name in ("counterfactual-av-eval", COUNTERFACTUAL_AV_EVAL):
        clips = _counterfactual_av_eval(split, root)
    elif name == "audiocaps":
        clips = _audiocaps(split, root)
    elif Path(name).exists():
        clips = _from_path(Path(name))
    else:
        raise DatasetError(f"{str(name)!r} is no known set ({', '.join(NAMES)}) and no file or folder; check the name")
    return clips if n is None else _subset(clips, n, seed, name)


def save(clips, manifest):
    """Writes a manifest that `load` reads back, as does `datasets.load_dataset("json", data_files=...)`.

    Files below the manifest's folder are named relative to it, so that the folder can be moved; others by their full
    path. The media files themselves stay where they are.

    Args:
        clips: any iterable of clips.
        manifest: where to; ends in .jsonl.

    Returns:
        The path.

    Raises:
        DatasetError: the suffix is another one.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> path = save([Clip("0", folder / "0.mp4")], folder / "set.jsonl")
        >>> json.loads(path.read_text())["video"]
        '0.mp4'
    """
    manifest = Path(manifest)
    if manifest.suffix != ".jsonl":
        raise DatasetError(f"{manifest.name} must end in .jsonl, so that it is known as a manifest")
    manifest.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=manifest.parent) as folder:
        partial = Path(folder, manifest.name)
        with partial.open("w", encoding="utf-8") as file:
            for clip in clips:
                row = {
                    "id": clip.id,
                    "video": _relative(clip.video, manifest.parent),
                    "audio": None if clip.audio is None else _relative(clip.audio, manifest.parent),
                    "kind": clip.kind,
                    **{field: list(getattr(clip, field)) for field in _TEXTS},
                }
                file.write(json.dumps(row) + "\n")
        os.replace(partial, manifest)
    return manifest


def cache_folder():
    """Where made or fetched clips are kept: the environment variable AVNB_CACHE, or `.cache/avnb` in your home.

    Can be deleted at any time.
    """
    return Path(os.environ.get("AVNB_CACHE") or Path.home() / ".cache" / "avnb")


def from_table(table, files, media=None):
    """Clips of a Hugging Face `datasets.Dataset` whose columns have names that can be understood.

    Args:
        table: the rows; videos and sounds are paths, or embedded (features Video and Audio).
        files: folder that relative paths start from.
        media: folder to write embedded media to; default `files`.

    Returns:
        list of `Clip`, factual ones first.

    Raises:
        DatasetError: a column or a value cannot be understood; lists what was found.
    """
    import datasets as hub

    columns = {}
    for field, names in _COLUMNS.items():
        found = {column.lower(): column for column in table.column_names}
        columns[field] = next((found[name] for name in names if name in found), None)
    if missing := [field for field in _NEEDED if columns[field] is None]:
        found = ", ".join(f"{column} ({_feature_name(feature)})" for column, feature in table.features.items())
        names = "; ".join(f"{field}: {' or '.join(_COLUMNS[field])}" for field in missing)
        raise DatasetError(f"no column for {', '.join(missing)} was found among: {found}. Rename columns to {names}")
    for column, feature in table.features.items():
        if isinstance(feature, hub.Video | hub.Audio):
            table = table.cast_column(column, type(feature)(decode=False))
    clips = []
    for number, values in enumerate(table):
        row = {field: values[column] for field, column in columns.items() if column}
        where = f"row {number}"
        row["kind"] = _kind(row["kind"], where)
        for field in ("video", "audio"):
            if isinstance(row.get(field), dict):
                row[field] = _unpacked(row[field], row["id"], field, Path(media or files), where)
        for field in ("video_captions", "audio_captions"):
            if isinstance(row.get(field), str):
                row[field] = [row[field]]
        clips.append(_clip(row, Path(files), where))
    return _checked_ids(sorted(clips, key=lambda clip: KINDS.index(clip.kind)), "the table")


def _toybox(split, n, seed, root):
    from avnb.toybox import vary, world

    if split not in vary.SPLITS:
        raise DatasetError(f"the toybox has no split {split!r}; use one of {', '.join(vary.SPLITS)}")
    folder = Path(root or cache_folder()) / f"toybox-{toybox_version()}" / f"{split}-{seed}-{n}"
    n_swapped = n // 2
    n_factual = n - n_swapped
    n_sources = max(n_swapped, _FEWEST_SOURCES) if n_swapped else 0
    clips = _from_path(world.write(folder, n_factual + n_sources, seed, split, "matching"))
    sources = clips[n_factual:]
    donors = curate.assign_donors(sources).head(n_swapped) if n_swapped else None
    swapped = curate.counterfactual(sources, folder / "swapped", donors) if n_swapped else []
    if len(swapped) < n_swapped:
        raise DatasetError(f"{folder} holds damaged clips; delete the folder and load again")
    return clips[:n_factual] + swapped


def toybox_version():
    """A hash of the code that makes toybox clips, so that clips of older code are never taken for new ones."""
    package = Path(__file__).parent
    files = [p for p in sorted((package / "toybox").rglob("*.py")) if p.name not in _NO_PART_OF_A_CLIP]
    total = hashlib.sha256()
    for path in [*files, package / "clips.py", package / "curate.py", package / "editing.py"]:
        total.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:12]


def _counterfactual_av_eval(split, root):
    import datasets as hub

    try:
        table = hub.load_dataset(str(root or COUNTERFACTUAL_AV_EVAL), split=split)
    except (OSError, ValueError, RuntimeError) as error:
        remedy = "go online once, or download it elsewhere and pass root=FOLDER"
        raise DatasetError(f"{root or COUNTERFACTUAL_AV_EVAL}, split {split!r}: {error}; {remedy}") from error
    return from_table(table, root or ".", cache_folder() / "counterfactual-av-eval" / split)


def _audiocaps(split, root):
    layout = "test.csv (columns audiocap_id, youtube_id, start_time, caption) and, anywhere below, the videos, named "
    layout += "YOUTUBE_ID.mp4, YOUTUBE_ID_START.mp4 or AUDIOCAP_ID.mp4"
    if root is None:
        raise DatasetError(f"audiocaps cannot be shipped; pass root=FOLDER with your copy: {layout}")
    root = Path(root)
    names = [f"{split}.csv", *["val.csv"] * (split == "validation")]
    file = next((root / name for name in names if (root / name).is_file()), None)
    if file is None:
        raise DatasetError(f"{root} holds no {' or '.join(names)}; needed are {layout}")
    rows = pd.read_csv(file, dtype=str, keep_default_na=False)
    if missing := {"audiocap_id", "youtube_id", "start_time", "caption"} - set(rows.columns):
        found = ", ".join(rows.columns)
        raise DatasetError(f"{file.name} has no column {', '.join(sorted(missing))}, only {found}; needed are {layout}")
    videos = {path.stem: path for path in _videos(root.rglob("*"))}
    clips, n_absent = [], 0
    for name, same in rows.groupby("youtube_id", sort=False):
        stems = [name, *f"{name}_" + same["start_time"], *same["audiocap_id"]]
        video = next((videos[stem] for stem in stems if stem in videos), None)
        if video is None:
            n_absent += 1
        else:
            clips.append(Clip(name, video, audio_captions=tuple(same["caption"])))
    if not clips:
        raise DatasetError(f"{root} holds none of the videos that {file.name} lists; needed are {layout}")
    if n_absent:
        logger.warning("%d of the %d videos in %s are not there and left out", n_absent, n_absent + len(clips), file)
    return clips


def _from_path(path):
    if path.is_file():
        return _manifest(path)
    if (path / MANIFEST).is_file():
        return _manifest(path / MANIFEST)
    clips = [Clip(video.stem, video) for video in _videos(path.iterdir())]
    if not clips:
        raise DatasetError(f"{path} holds neither {MANIFEST} nor a video ({', '.join(_VIDEOS)}); check the path")
    return _checked_ids(clips, path.name)


def _videos(paths):
    return sorted(path for path in paths if path.suffix.lower() in _VIDEOS and not path.name.startswith("."))


def _manifest(path):
    if path.suffix != ".jsonl":
        raise DatasetError(f"{path.name} is no manifest (.jsonl); give a manifest or a folder")
    clips = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    where = f"{path.name}, line {number}"
                    clips.append(_clip(_parsed(line, where), path.parent, where))
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path.name} is no UTF-8 text; write one JSON object a line, as {_SAMPLE}") from error
    if not clips:
        raise DatasetError(f"{path.name} holds no clips; write one JSON object a line, as {_SAMPLE}")
    return _checked_ids(clips, path.name)


def _parsed(line, where):
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DatasetError(f"{where}: no JSON ({error.msg}); write one JSON object a line, as {_SAMPLE}") from error
    if not isinstance(row, dict):
        raise DatasetError(f"{where}: {line.strip()[:40]} is no JSON object; write {_SAMPLE}")
    return row


def _clip(row, folder, where):
    """The clip that a row describes; fields that a clip does not have are ignored."""
    for field in ("id", "video"):
        if row.get(field) in (None, ""):
            raise DatasetError(f"{where}: {field!r} is missing; write {_SAMPLE}")
    files = {}
    for field in ("video", "audio"):
        if row.get(field) is not None:
            if not isinstance(row[field], str):
                raise DatasetError(f"{where}: {field} is {row[field]!r}; give the path of a file")
            files[field] = folder / row[field]
            if not files[field].is_file():
                remedy = "put it there or correct the path (relative to the manifest)"
                raise DatasetError(f"{where}: {field} {row[field]} does not exist in {folder}; {remedy}")
    texts = {}
    for field in _TEXTS:
        value = [] if row.get(field) is None else row[field]
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise DatasetError(f'{where}: {field} is {value!r}; give a list of texts, as ["{value}"]')
        texts[field] = tuple(value)
    try:
        return Clip(str(row["id"]), **files, kind=row.get("kind") or "factual", **texts)
    except ValueError as error:
        raise DatasetError(f"{where}: {error}") from error


def _checked_ids(clips, source):
    seen = set()
    for clip in clips:
        if clip.id in seen:
            raise DatasetError(f"{source}: the id {clip.id!r} stands for several clips; give every clip its own")
        seen.add(clip.id)
    return clips


def _kind(value, where):
    """The kind of clip that a published table means."""
    text = str(value).lower()
    if value is True or any(word in text for word in ("counter", "swap")):
        return "counterfactual"
    if value is False or any(word in text for word in ("factual", "original")):
        return "factual"
    raise DatasetError(f"{where}: {value!r} names no kind of clip; expected factual, counterfactual or true, false")


def _unpacked(medium, name, field, folder, where):
    """The path of a medium of a Hub table, written to a file if it is embedded."""
    path, content = medium.get("path"), medium.get("bytes")
    if content is None:
        return path
    suffix = Path(path or "").suffix
    if not suffix:
        raise DatasetError(f"{where}: embedded {field} has no file name, so its format is unknown; pass files instead")
    file = folder.resolve() / f"{name}-{field}{suffix}"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder) as made:
            Path(made, file.name).write_bytes(content)
            os.replace(Path(made, file.name), file)
    return str(file)


def _feature_name(feature):
    return getattr(feature, "dtype", None) or type(feature).__name__


def _relative(path, folder):
    """A path as a manifest holds it."""
    path, folder = Path(path).resolve(), folder.resolve()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()


def _subset(clips, n, seed, name):
    """Draws n clips, the same number of every kind as far as possible; their order stays."""
    if n > len(clips):
        raise DatasetError(f"{name} holds {len(clips)} clips, n={n} were asked for; use fewer or None for all")
    by_kind = defaultdict(list)
    for i in np.random.default_rng(seed).permutation(len(clips)):
        by_kind[clips[i].kind].append(int(i))
    turns = sorted((turn, kind, i) for kind, some in by_kind.items() for turn, i in enumerate(some))
    return [clips[i] for i in sorted(i for *_, i in turns[:n])]
