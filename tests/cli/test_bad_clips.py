"""Clips that a model cannot use, of every kind, among one that it can: `avnb caption` and `avnb measure` go on."""

import json
import re
from dataclasses import replace

import av
import numpy as np
import pytest
from scipy.io import wavfile

from avnb import datasets, study
from avnb.media import editing

SAID = {  # clip: what is told of it
    "narrow": r"narrow: Qwen2_5OmniProcessor refuses it \(absolute aspect ratio must be smaller than 200, got 252.0\)",
    "long": r"long: 61.0 s of sound are more than the 60 s that Qwen2_5OmniProcessor takes; cut the clip",
    "many": r"many: [\d,]+ tokens( and 64 for the answer)? are more than the 4,096 that the decoder of .* cut the clip",
    "nan": r"nan.(wav|mkv) holds sound that is no number or far out of range",
    "inf": r"inf.(wav|mkv) holds sound that is no number or far out of range",
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory, toybox_clips):
    """By name; the last one is good."""
    folder, good = tmp_path_factory.mktemp("bad"), toybox_clips[0]
    tone = 0.2 * np.sin(np.arange(16_000) / 5).astype(np.float32)

    def grey(name, n, height, width, fps, seconds):
        pictures = np.full((n, height, width, 3), 90, np.uint8)
        return {"video": editing.write(folder / f"{name}.mp4", pictures, fps, np.tile(tone, seconds))}

    made = {"narrow": grey("narrow", 16, 16, 4032, fps=8, seconds=2)}
    made["long"] = grey("long", 70, 64, 64, fps=1, seconds=70)
    made["many"] = grey("many", 360, 160, 160, fps=1, seconds=4)
    for name in ("nan", "inf"):
        odd = tone.copy()
        odd[5_000:5_010] = float(name)
        wavfile.write(folder / f"{name}.wav", 16_000, odd)
        made[name] = {"audio": folder / f"{name}.wav"}
    return {name: replace(good, id=name, **files) for name, files in made.items()} | {"good": good}


def test_measure_leaves_them_out_with_their_reasons(run, clips, tmp_path, organism_folder):
    manifest = datasets.save(clips.values(), tmp_path / "clips.jsonl")
    asked = ["--models", organism_folder, "--data", manifest, "--out", tmp_path / "out", "--set", "max_new_tokens=2"]
    result = run("measure", "fidelity,attention", *asked, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1 and "Traceback" not in result.stderr
    assert {row["n"] for row in found["means"]} == {1}, "the good one is measured"
    for analysis in ("fidelity", "attention"):
        told = {row["clip"]: row["reason"] for row in found["left_out"] if row["analysis"] == analysis}
        assert told.keys() == SAID.keys()
        assert all(re.match(said, told[name]) for name, said in SAID.items()), told
    assert len(study.left_out(tmp_path / "out")) == 2 * len(SAID)


def test_caption_tells_why_and_goes_on(run, clips, tmp_path, organism_folder):
    """Of files: what is no number is within them, as a program may write it."""
    files = [clips[name].video for name in ("narrow", "long", "many", "good")]
    for name in ("nan", "inf"):
        files.insert(0, with_sound(clips["good"].video, clips[name].audio, tmp_path / f"{name}.mkv"))
    result = run("caption", *files, "--model", organism_folder, "--json")
    *bad, good = json.loads(result.stdout)
    assert result.exit_code == 1 and "answer" in good and "Traceback" not in result.stderr
    for row, name in zip(bad, ("inf", "nan", "narrow", "long", "many"), strict=True):
        assert re.match(SAID[name], row["error"]) and "answer" not in row


def with_sound(video, sound, path):
    """The pictures of a file with another sound, sample by sample: no encoder would take these."""
    with av.open(str(video)) as seen, av.open(str(sound)) as heard, av.open(str(path), "w") as made:
        sources = seen.streams.video[0], heard.streams.audio[0]
        for source, stream in [(source, made.add_stream_from_template(source)) for source in sources]:
            for packet in source.container.demux(source):
                if packet.dts is not None:
                    packet.stream = stream
                    made.mux(packet)
    return path
