"""Daily-Omni (arXiv 2505.17862): questions of four options about what is seen and heard, and when.

`qa.json` is a list of Question, Choice, Answer, video_id, Type; the media lie in `Videos/{id}/`, the sound also apart.
"""

from avnb.benchmarks.files import Folder, fields
from avnb.benchmarks.question import AskedClip, choice

LAYOUT = "qa.json (Question, Choice, Answer, video_id, Type) and Videos/ID/ID_video.mp4, ID_audio.wav"
_FIELDS = ("video_id", "Question", "Choice", "Answer", "Type")


def read(root):
    folder = Folder(root, LAYOUT)
    name, rows = folder.read("qa.json")
    by_video = {}
    for number, row in enumerate(rows):
        video, text, options, answer, task = fields(row, _FIELDS, f"{name}, row {number}")
        by_video.setdefault(str(video), []).append(choice(f"{video}-{number}", text, options, answer, task))
    return [_clip(video, tuple(asked), folder) for video, asked in by_video.items()]


def _clip(video, asked, folder):
    sound = folder.media(f"{video}_audio.wav")
    picture = folder.media(f"{video}_video.mp4")
    return AskedClip(video, picture, sound if sound.is_file() else None, questions=asked, source="daily-omni")
