"""Clips of the toybox world: what is seen, what is heard, and the files that record it.

>>> example = sample("test", seed=0, index=3, relation="matching")
>>> set(example.heard) <= set(example.seen)
True
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from avnb.files import whole
from avnb.media import editing
from avnb.media.clip import MANIFEST
from avnb.toybox import scenes, sounds
from avnb.toybox.captions import Writer
from avnb.toybox.sources import SOURCES
from avnb.toybox.vary import Variation

SECONDS = 4.0
FPS = 8
RATE = 16_000  # Hz
SIZE = 160  # pixels
N_PARAPHRASES = 3

# How the sound relates to the picture, and how often: the sound does not follow from what is seen.
RELATIONS = {
    "matching": 0.45,  # everything seen is heard
    "silent object": 0.3,  # two things are seen, one of them is heard
    "off-screen": 0.15,  # what is heard is not seen
    "quiet": 0.05,  # something is seen, nothing is heard
    "dark": 0.05,  # something is heard, nothing is seen
}


@dataclass(frozen=True)
class Example:
    """One clip before it is drawn: what is seen and heard, and the parameters of both."""

    id: str
    split: str
    relation: str
    seen: tuple[str, ...]
    heard: tuple[str, ...]
    seed: tuple[int, ...]

    @property
    def scene(self):
        """The picture, composed."""
        return scenes.compose(self.seen, Variation(self.split, (*self.seed, 0)))

    def frames(self, times):
        """The picture at these times in seconds: uint8 [T, 160, 160, 3]."""
        return self.scene.frames(times, size=SIZE)

    def wave(self):
        """The sound: float32 [64000], mono, 16 kHz."""
        return sounds.mix(self.heard, Variation(self.split, (*self.seed, 1)), seconds=SECONDS, rate=RATE)

    def record(self, folder):
        """The clip as a file, `ID.mp4` in a folder; a file that is already there is kept. Returns its path."""
        path = Path(folder) / f"{self.id}.mp4"
        if not path.exists():
            editing.write(path, self.frames(np.arange(0, SECONDS, 1 / FPS)), FPS, self.wave(), RATE)
        return path


def sample(split, seed, index, relation=None):
    """The clip number `index` of a split and seed.

    Args:
        split: "train", "validation" or "test": disjoint in every continuous parameter of appearance and sound.
        seed, index: the same ones give the same clip.
        relation: a key of `RELATIONS`; None draws one by its share.

    Raises:
        ValueError: the split or the relation is unknown.
    """
    if relation is not None and relation not in RELATIONS:
        raise ValueError(f"relation {relation!r} is unknown; use one of {', '.join(RELATIONS)}")
    rng = Variation(split, (seed, index)).rng
    relation = relation or str(rng.choice(list(RELATIONS), p=list(RELATIONS.values())))
    names = [str(name) for name in rng.permutation(list(SOURCES))[:3]]
    n = 1 if rng.random() < 0.7 else 2
    seen, heard = {
        "matching": (names[:n], names[:n]),
        "silent object": (names[:2], names[:1]),
        "off-screen": (names[:n], names[2:]),
        "quiet": (names[:n], []),
        "dark": ([], names[:n]),
    }[relation]
    order = list(SOURCES).index
    seen, heard = (tuple(sorted(some, key=order)) for some in (seen, heard))
    name = f"{split}-{seed}-{index:05d}-{relation.replace(' ', '-')}"
    return Example(name, split, relation, seen, heard, (seed, index))


def write(out, n, seed=0, split="test", relation=None):
    """Write clips as .mp4 files with a manifest; files that are already there are kept.

    Args:
        out: folder; gets `manifest.jsonl` (one clip a line; file paths relative to it) and `clips/ID.mp4`.
        n: number of clips.
        seed, split, relation: as in `sample`.

    Returns:
        Path of the manifest.
    """
    out = Path(out)
    rows = []
    for index in tqdm(range(n), "toybox", unit="clip", disable=None, leave=False):
        example = sample(split, seed, index, relation)
        path = example.record(out / "clips")
        writer = Writer(np.random.default_rng([seed, index]))
        rows.append(
            {
                "id": example.id,
                "video": path.relative_to(out).as_posix(),
                "kind": "factual",
                "split": split,
                "relation": example.relation,
                "seen": list(example.seen),
                "heard": list(example.heard),
                "video_captions": [writer.video(example.seen) for _ in range(N_PARAPHRASES)],
                "audio_captions": [writer.audio(example.heard) for _ in range(N_PARAPHRASES)],
            }
        )
    manifest = out / MANIFEST
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if not manifest.exists() or manifest.read_text() != text:  # drawn clips can be used where nothing can be written
        with whole(manifest) as partial:
            partial.write_text(text)
    return manifest
