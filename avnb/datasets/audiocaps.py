"""AudioCaps, from your own copy."""

import logging
from pathlib import Path

import pandas as pd

from avnb.datasets.manifest import DatasetError, videos_in
from avnb.media.clip import Clip

logger = logging.getLogger(__name__)


def audiocaps(split, root):
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
    videos = {path.stem: path for path in videos_in(root.rglob("*"))}
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
