"""Manifests: sets of clips on disk as JSON Lines, one clip a line, with file paths relative to the manifest."""

import json
from pathlib import Path

from avnb.errors import AvnbError
from avnb.files import whole
from avnb.media.clip import Clip

TEXTS = ("video_captions", "audio_captions", "seen", "heard", "replaced_captions")
_SAMPLE = '{"id": "dog-1", "video": "clips/dog-1.mp4", "audio_captions": ["A dog barks."]}'


class DatasetError(AvnbError):
    """A set of clips cannot be loaded: says which file and line, what is wrong and what to do."""


def save(clips, manifest) -> Path:
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
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> path = save([Clip("0", folder / "0.mp4")], folder / "set.jsonl")
        >>> json.loads(path.read_text())["video"]
        '0.mp4'
    """
    manifest = Path(manifest)
    if manifest.suffix != ".jsonl":
        raise DatasetError(f"{manifest.name} must end in .jsonl, so that it is known as a manifest")
    with whole(manifest) as partial, partial.open("w", encoding="utf-8") as file:
        for clip in clips:
            row = {
                "id": clip.id,
                "video": _relative(clip.video, manifest.parent),
                "audio": None if clip.audio is None else _relative(clip.audio, manifest.parent),
                "kind": clip.kind,
                **{field: list(getattr(clip, field)) for field in TEXTS},
            }
            file.write(json.dumps(row) + "\n")
    return manifest


def lines(path):
    """The rows of a JSON Lines file: pairs of where a row stands and what it holds."""
    rows = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    where = f"{path.name}, line {number}"
                    rows.append((where, _parsed(line, where)))
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path.name} is no UTF-8 text; write one JSON object a line, as {_SAMPLE}") from error
    if not rows:
        raise DatasetError(f"{path.name} holds no clips; write one JSON object a line, as {_SAMPLE}")
    return rows


def _parsed(line, where):
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = str(error).split(";")[0]
        raise DatasetError(f"{where}: no JSON ({reason}); write one JSON object a line, as {_SAMPLE}") from error
    if not isinstance(row, dict):
        raise DatasetError(f"{where}: {line.strip()[:40]} is no JSON object; write {_SAMPLE}")
    return row


def clip_of(fields, where):
    """The clip of these fields, whose files are paths; fields that a clip does not have are ignored."""
    for field in TEXTS:
        value = fields.get(field) or []
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise DatasetError(f'{where}: {field} is {value!r}; give a list of texts, as ["{value}"]')
    texts = {field: tuple(fields.get(field) or ()) for field in TEXTS}
    try:
        return Clip(
            fields["id"], fields["video"], fields.get("audio") or None, kind=fields.get("kind") or "factual", **texts
        )
    except ValueError as error:
        raise DatasetError(f"{where}: {error}") from error


def checked_ids(clips, source):
    seen = set()
    for clip in clips:
        if clip.id in seen:
            raise DatasetError(f"{source}: the id {clip.id!r} stands for several clips; give every clip its own")
        seen.add(clip.id)
    return clips


def _relative(path, folder):
    """A path as a manifest holds it."""
    path, folder = Path(path).resolve(), folder.resolve()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()
