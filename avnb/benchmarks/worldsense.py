"""WorldSense (arXiv 2502.04326): questions of three or four options about everyday videos with their own sound.

`worldsense_qa.json` maps a video's id to what is known of it, and to task0, task1, ... with a question each.
"""

from avnb.benchmarks.files import Folder, fields
from avnb.benchmarks.question import AskedClip, choice

LAYOUT = "worldsense_qa.json (video id -> task0, ... of question, candidates, answer) and VIDEO_ID.mp4 anywhere below"
_FIELDS = ("task_domain", "question", "candidates", "answer")


def read(root):
    folder = Folder(root, LAYOUT)
    name, videos = folder.read("worldsense_qa.json")
    clips = []
    for video, known in videos.items():
        asked = []
        for key in sorted(key for key in known if key.startswith("task")):
            task, text, candidates, answer = fields(known[key], _FIELDS, f"{name}, {video}, {key}")
            asked.append(choice(f"{video}-{key}", text, candidates, answer, task))
        clips.append(AskedClip(video, folder.media(f"{video}.mp4"), questions=tuple(asked), source="worldsense"))
    return clips
