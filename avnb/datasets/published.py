"""Published sets as their authors lay them out: which file lists the clips, and where the media lie."""

import logging
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

from avnb.datasets.manifest import DatasetError
from avnb.datasets.tables import clips_of, rows_of
from avnb.files import cache_folder, digest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Layout:
    """How a set is published.

    Attributes:
        tables: the files that may list its clips, the first that is there counts; {split} stands for the split.
        media: the folder with the videos, or, with .zip behind it, their archive.
        splits: the names that avnb has for its splits -> those in the names of its files, the first counts.
        address: on the Hugging Face Hub; None if it has to be asked for.
        advice: what to say to those who have no copy, where it has to be asked for.
    """

    tables: tuple[str, ...]
    media: str
    splits: dict
    address: str | None = None
    advice: str = ""


_THREE = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}
_ONE = {"test": ("test",)}

LAYOUTS = {
    "audiocaps": Layout(
        ("{split}.csv", "dataset/{split}.csv", "dataset2.0/{split}.csv"),
        ".",
        _THREE,
        advice="it is given out on request (github.com/cdjkim/audiocaps): pass root=FOLDER with your copy, which holds "
        "{split}.csv (columns audiocap_id, youtube_id, start_time, caption) and, anywhere below, the videos, called "
        "YOUTUBE_ID_START.mkv, YOUTUBE_ID.mp4 or AUDIOCAP_ID.mp4; or load 'mteb/AudioCaps_AV', a part of it on the hub",
    ),
    "avcaps": Layout(("{split}_captions.json",), "{split}_videos", _THREE, "TUT-ARG/AVCaps"),
    "avscapbench": Layout(("metadata.jsonl", "metadata/OmniCaption.json"), "videos", _ONE, "NJU-LINK/AVSCapBench"),
    "avhallubench": Layout(("data.json",), "videos", _ONE, "scb10x/avhallubench"),
}


def published(name, split, root):
    """Clips of a set in its published layout, fetched from the hub where there is no copy."""
    layout = LAYOUTS[name]
    if split not in layout.splits:
        raise DatasetError(f"{name} has no split {split!r}; use {' or '.join(map(repr, layout.splits))}")
    spellings = layout.splits[split]
    if root is None and layout.address is None:
        raise DatasetError(f"{name} cannot be shipped; {layout.advice.format(split=spellings[0])}")
    root = Path(root) if root is not None else _fetched(layout, spellings)
    files = [(root / table.format(split=one), one) for table in layout.tables for one in spellings]
    table, spelling = next(((file, one) for file, one in files if file.is_file()), (None, None))
    if table is None:
        wanted = " or ".join(str(file.relative_to(root)) for file, _ in files)
        raise DatasetError(f"{root} holds no {wanted}. {layout.advice.format(split=spellings[0])}".strip())
    folder = _media(root, layout.media.format(split=spelling))
    return clips_of(rows_of(table), folder, table.name, needed=())


def _fetched(layout, spellings):
    """The folder with a copy of the set from the hub: the files of one split, if they are apart."""
    from huggingface_hub import snapshot_download

    names = (*layout.tables, layout.media)
    wanted = [f"{name.format(split=one)}*" for name in names for one in spellings]
    try:
        return Path(snapshot_download(layout.address, repo_type="dataset", allow_patterns=wanted))
    except (OSError, ValueError, RuntimeError) as error:
        remedy = "go online once, or download it elsewhere and pass root=FOLDER"
        raise DatasetError(f"{layout.address}: {error}; {remedy}") from error


def _media(root, name):
    """The folder with the videos; out of an archive, they go to the cache, once."""
    archive = root / f"{name}.zip"
    if (root / name).is_dir() or not archive.is_file():
        return root / name if (root / name).is_dir() else root
    folder = cache_folder() / "unpacked" / digest([str(archive.resolve()), archive.stat().st_size])
    if not folder.is_dir():
        logger.info("unpacking %s to %s", archive, folder)
        partial = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            with zipfile.ZipFile(archive) as file:
                file.extractall(partial)
        except zipfile.BadZipFile as error:
            raise DatasetError(f"{archive.name} is cut off or no archive; fetch it again") from error
        partial.rename(folder)
    return folder
