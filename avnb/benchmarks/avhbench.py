"""AVHBench (arXiv 2410.18325): is a thing heard, is a thing seen, do sound and picture match?

`QA.json` is a list of video_id, task, text, label; the videos are called `{video_id}.mp4`. Older files spell the tasks
otherwise; they are kept as they are. Captions are free text and have no margin: they are left out, and counted.
"""

import logging

from avnb.benchmarks.files import Folder, fields
from avnb.benchmarks.question import AskedClip, yes_no

LAYOUT = "QA.json (video_id, task, text, label) and, anywhere below, VIDEO_ID.mp4"
_FILES = ("QA.json", "qa_final_single_filtered.json", "AVH_test.json", "AVH_val.json")

logger = logging.getLogger(__name__)


def read(root):
    folder = Folder(root, LAYOUT)
    name, rows = folder.read(*_FILES)
    by_video, n_captions = {}, 0
    for number, row in enumerate(rows):
        video, task, text, label = fields(row, ("video_id", "task", "text", "label"), f"{name}, row {number}")
        if "captioning" in task.lower():
            n_captions += 1
        else:
            by_video.setdefault(str(video), []).append(yes_no(f"{video}-{number}", text, label, task))
    if n_captions:
        logger.info("%s: %d captioning rows are left out, %d questions read", name, n_captions, len(rows) - n_captions)
    return [_clip(video, tuple(asked), folder) for video, asked in by_video.items()]


def _clip(video, asked, folder):
    """Where the contexts are said not to match, the sound is another clip's."""
    matching = {one.answer for one in asked if "matching" in one.task.lower()}
    conflict = "no" in matching if len(matching) == 1 else None
    return AskedClip(
        video, folder.media(f"{video}.mp4"), kind="counterfactual" if conflict else "factual",
        questions=asked, source="avhbench", cluster=video.removesuffix("_swap"), conflict=conflict,
    )  # fmt: skip
