"""What the columns of a table of clips hold, whatever they are called: told by their names and by their values.

>>> understood([{"file": "1.mp4", "event": {"visual_events": ["A dog."]}, "audio_caption": "Barking."}])
{'video': ['file'], 'seen': ['event.visual_events'], 'audio_captions': ['audio_caption']}
"""

import json
import re
from pathlib import Path

import numpy as np

from avnb.media.clip import KINDS

VIDEOS = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v")
SOUNDS = (".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus")

# What the columns of a field may be called, most telling first; the first is avnb's own name. A name within another is
# joined to it by a dot.
NAMES = {
    "video": ("video", "video_(path|file|name)", "file_?name", "file", "path", "clip", "(video|clip)_id"),
    "audio": ("audio", "audio_(path|file|name)", "sound"),
    "kind": ("kind", "type", "condition", "category", "subset", ".*(counterfactual|swapped)"),
    "seen": ("seen", r"(.*\.)?(visual|video)_events(\..*)?"),
    "heard": ("heard", r"(.*\.)?(audio|sound)_events(\..*)?"),
    "video_captions": ("video_captions", "vi(deo|sual)_(caption|description)s?", "(?!.*audio).*vi(deo|s).*"),
    "audio_captions": ("audio_captions", "audio_(caption|description)s?", "captions?", "(?!.*vi[sd]).*(audio|sound).*"),
    "id": ("id", "clip_id", "video_id", "sample_id"),
}  # fmt: skip

# What media begin with, for embedded ones without a name: (where, what, suffix).
_BEGINNINGS = (
    (4, b"ftyp", ".mp4"), (0, b"\x1aE\xdf\xa3", ".mkv"), (8, b"AVI ", ".avi"), (8, b"WAVE", ".wav"),
    (0, b"fLaC", ".flac"), (0, b"OggS", ".ogg"), (0, b"ID3", ".mp3"), (0, b"\xff\xfb", ".mp3"),
)  # fmt: skip

_KINDS = {
    "counterfactual": "counter|swap|mismatch",
    "factual": "factual|original|match",
    "mute": "mute",
    "shifted": "shift",
}

_RECORDING = ("youtube_id", "start_time")  # together, the id of an excerpt


def understood(rows, is_there=lambda name: False) -> dict:
    """Which columns hold what.

    Args:
        rows: dicts; those that the columns are told by.
        is_there: whether a video of this name lies where the table's files are, for names without a suffix.

    Returns:
        dict: a field of a clip -> its columns: of lists of events all that fit, else one.
    """
    values = {}
    for row in map(flat, rows):
        for name, value in row.items():
            values.setdefault(name, []).extend([] if value in (None, "") else [value])
    columns = {}
    for field, patterns in NAMES.items():
        left = [name for name in values if field == "id" or all(name not in names for names in columns.values())]
        named = dict.fromkeys(name for pattern in patterns for name in left if re.fullmatch(pattern, name.lower()))
        found = [name for name in named if _fits(field, name, values[name], is_there)]
        if field == "video" and not found:  # whatever it is called, if there is but one
            films = [name for name in left if values[name] and all(ending(value) in VIDEOS for value in values[name])]
            found = films if len(films) == 1 else []
        if found:
            columns[field] = found if field in ("seen", "heard") else found[:1]
    return columns


def _fits(field, name, values, is_there):
    """Whether the values of a column can be what its name says."""
    if not values:
        return False
    if name == NAMES[field][0]:  # taken at its word, so that an error can say what is wrong with which row
        return field not in ("video", "audio") or not all(isinstance(value, str) and " " in value for value in values)
    if field == "video":
        return all(ending(value) in VIDEOS or is_there(value) for value in values)
    if field == "audio":
        return all(ending(value) for value in values)
    if field == "kind":
        return all(kind(value, name) for value in values)
    if field in ("seen", "heard"):
        return all(isinstance(texts(value), list) for value in values)
    if field == "id":
        return all(isinstance(value, str | int) for value in values)
    lists = [value if isinstance(value, list) else [value] for value in map(texts, values)]
    return all(isinstance(text, str) and not ending(text) for texts in lists for text in texts)


def kind(value, column="kind"):
    """The kind of clip that a value means, None if none.

    Example:
        >>> kind("audio swapped"), kind("Original"), kind(True, "is_counterfactual"), kind("music")
        ('counterfactual', 'factual', 'counterfactual', None)
    """
    text = str(value).lower()
    if text in KINDS:
        return text
    if re.search("counterfactual|swapped", column.lower()) and text in ("true", "false", "1", "0", "yes", "no"):
        return "counterfactual" if text in ("true", "1", "yes") else "factual"
    return next((name for name, pattern in _KINDS.items() if re.search(pattern, text)), None)


def recording(row):
    """The id of an excerpt by its recording and its start, None where these are not given."""
    parts = [row.get(name) for name in _RECORDING]
    return None if None in parts else "_".join(f"{part:g}" if isinstance(part, float) else str(part) for part in parts)


def texts(value):
    """A list as a text table holds it, as a list; every other value as it is.

    Example:
        >>> texts('["A dog.", "A cat."]'), texts("A dog.")
        (['A dog.', 'A cat.'], 'A dog.')
    """
    if isinstance(value, str) and value.startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def flat(row):
    """A row without rows in it: their names are joined by dots, {"a": {"b": 1}} is {"a.b": 1}; NaN becomes None."""
    found = {}
    for name, value in row.items():
        if isinstance(value, dict) and not _is_embedded(value):
            found |= {f"{name}.{inner}": one for inner, one in flat(value).items()}
        elif isinstance(value, np.ndarray):
            found[name] = value.tolist()
        else:
            found[name] = None if isinstance(value, float) and value != value else value
    return found


def ending(value):
    """The suffix of a file's name, or of an embedded medium by its name or first bytes; "" if it is neither.

    Example:
        >>> ending("clips/1.MP4"), ending({"path": None, "bytes": b"RIFF____WAVEfmt "}), ending("A dog.")
        ('.mp4', '.wav', '')
    """
    name, content = (value.get("path"), value.get("bytes")) if _is_embedded(value) else (value, None)
    suffix = Path(name).suffix.lower() if isinstance(name, str) else ""
    if suffix in VIDEOS + SOUNDS:
        return suffix
    return next((suffix for at, what, suffix in _BEGINNINGS if (content or b"")[at : at + len(what)] == what), "")


def _is_embedded(value):
    return isinstance(value, dict) and "bytes" in value
