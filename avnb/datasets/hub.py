"""Sets of the Hugging Face Hub: tables whose columns have names that can be understood."""

from pathlib import Path

from avnb.datasets.manifest import DatasetError, checked_ids, clip_of
from avnb.files import cache_folder, file_name, whole
from avnb.media.clip import KINDS

COUNTERFACTUAL_AV_EVAL = "gamma-lab-umd/counterfactual-av-eval"  # on the Hugging Face Hub

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

_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus"
)  # fmt: skip


def from_table(table, files, media=None) -> list:
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
        clips.append(clip_of(row, Path(files), where))
    return checked_ids(sorted(clips, key=lambda clip: KINDS.index(clip.kind)), "the table")


def counterfactual_av_eval(split, root):
    import datasets as hub

    try:
        table = hub.load_dataset(str(root or COUNTERFACTUAL_AV_EVAL), split=split)
    except (OSError, ValueError, RuntimeError) as error:
        remedy = "go online once, or download it elsewhere and pass root=FOLDER"
        raise DatasetError(f"{root or COUNTERFACTUAL_AV_EVAL}, split {split!r}: {error}; {remedy}") from error
    return from_table(table, root or ".", cache_folder() / "counterfactual-av-eval" / split)


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
    if suffix.lower() not in _SUFFIXES:
        raise DatasetError(f"{where}: embedded {field} is called {path!r}; media end in {', '.join(_SUFFIXES)}")
    file = folder.resolve() / f"{file_name(f'{name}-{field}')}{suffix}"
    if not file.exists():
        with whole(file) as partial:
            partial.write_bytes(content)
    return str(file)


def _feature_name(feature):
    return getattr(feature, "dtype", None) or type(feature).__name__
