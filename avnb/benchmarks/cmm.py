"""CMM, the Curse of Multi-Modalities (arXiv 2410.12787): did you see it, did you hear it?

`all_data_final_reorg.json` is a list with a video, a sound or both per row; "None" may be written as a text. The .mp4
files of rows with both have no sound, or a silent one: it is in a .wav of its own, and is taken from there.
"""

from avnb.benchmarks.files import Folder, fields
from avnb.benchmarks.question import AskedClip, yes_no

LAYOUT = "all_data_final_reorg.json (sub_category, modality, video_path, audio_path, question, answer) and the media"
_FILES = ("all_data_final_reorg.json", "all_data_final.json")
_FIELDS = ("sub_category", "modality", "video_path", "audio_path", "question", "answer")
_SUFFIX = "Answer with yes or no."


def read(root):
    folder = Folder(root, LAYOUT)
    name, rows = folder.read(*_FILES)
    samples = {}
    for number, row in enumerate(rows):
        category, modality, video, audio, text, answer = fields(row, _FIELDS, f"{name}, row {number}")
        video, audio = (None if path in (None, "", "None") else path for path in (video, audio))
        question = yes_no(f"{number}", text.strip().removesuffix(_SUFFIX).strip(), answer, category, _SUFFIX)
        samples.setdefault((category, modality, video, audio), []).append(question)
    return [_clip(number, *sample, tuple(asked), folder) for number, (sample, asked) in enumerate(samples.items())]


def _clip(number, category, modality, video, audio, asked, folder):
    mute = modality == "visual"
    return AskedClip(
        f"{category}-{number}",
        folder.media(video) if video else None,
        folder.media(audio) if audio and not mute else None,
        kind="mute" if mute else "factual",
        questions=asked, source="cmm", cluster=video or audio,
    )  # fmt: skip
