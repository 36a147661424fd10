"""DAVE (arXiv 2503.09321): what is done while a sound is heard that was laid over the video?

A row has five options, the last of which is "none of the above": right where the sound is left out, or is another one.
What each option says is seen, which of them is meant is heard: neither modality is enough.
"""

from avnb.benchmarks.files import Folder, fields
from avnb.benchmarks.question import AskedClip, choice

LAYOUT = "epic.json or ego4d.json (the rows of a split: audio_class, raw_choices_multimodal, overlayed_event_index, "
LAYOUT += "type, video_with_overlayed_audio_path, silent_video_path) and the media"
_FILES = ("epic.json", "ego4d.json", "epic.jsonl", "ego4d.jsonl")
_FIELDS = ("audio_class", "raw_choices_multimodal", "overlayed_event_index", "type", "video_with_overlayed_audio_path")
_SUFFIX = "Answer with the letter of the right option alone, in parentheses, as (A)."


def read(root):
    folder = Folder(root, LAYOUT)
    name, rows = folder.read(*_FILES)
    clips = []
    for number, row in enumerate(rows):
        sound, choices, event, task, video = fields(row, _FIELDS, f"{name}, row {number}")
        right = len(choices) - 1 if task.startswith("none_of_the_above") else event
        sound = sound.replace("_", " ")
        text = f"What is the person doing when the sound of {sound} is heard? It may not be heard at all."
        asked = choice(f"{number}", text, choices, right, task, form="({})", suffix=_SUFFIX)
        cluster = row.get("silent_video_path") or video
        clips.append(AskedClip(f"{number}", folder.media(video), questions=(asked,), source="dave", cluster=cluster))
    return clips
