"""Sets of the Hugging Face Hub, by their address: tables whose columns can be understood."""

from avnb.datasets.columns import kind
from avnb.datasets.manifest import DatasetError
from avnb.datasets.tables import clips_of
from avnb.files import cache_folder, file_name
from avnb.media.clip import KINDS

_PEEK = 5  # rows of which the columns are told: with embedded media, all would be too much


def from_table(table, files, media=None, needed=("video",)) -> list:
    """Clips of a Hugging Face `datasets.Dataset`.

    Args:
        table: the rows; videos and sounds are paths, or embedded (features Video and Audio).
        files: folder that relative paths start from.
        media: folder to write embedded media to; default one in the cache.
        needed: fields that the columns have to tell: "video", "kind".

    Returns:
        list of `Clip`, factual ones first.

    Raises:
        DatasetError: a column or a value cannot be understood; lists what was found.
    """
    import datasets as hub

    for column, feature in table.features.items():
        if isinstance(feature, hub.Video | hub.Audio):
            table = table.cast_column(column, type(feature)(decode=False))
    rows = ((f"row {number}", row) for number, row in enumerate(table))
    clips = clips_of(rows, files, "the table", needed=needed, media=media, peek=_PEEK)
    return sorted(clips, key=lambda clip: KINDS.index(clip.kind))


def from_hub(address, split, root, needed=("video",)):
    """Clips of a set on the hub, or of a copy of it in the folder `root`."""
    import datasets as hub

    try:
        try:
            tables = {split: hub.load_dataset(str(root or address), split=split)}
        except ValueError:  # no such split; it may be called otherwise, or the kinds are splits
            tables = hub.load_dataset(str(root or address))
            if len(tables) > 1 and not all(map(kind, tables)):
                raise
    except (OSError, ValueError, RuntimeError) as error:
        remedy = "go online once (logged in, for a gated set), or download it elsewhere and pass root=FOLDER"
        raise DatasetError(f"{root or address}, split {split!r}: {error}; {remedy}") from error
    clips = []
    for name, table in tables.items():
        if len(tables) > 1:
            table = table.add_column("kind", [kind(name)] * len(table))
        media = cache_folder() / file_name(address) / name
        clips += from_table(table, root or media, media, needed)
    return sorted(clips, key=lambda clip: KINDS.index(clip.kind))
