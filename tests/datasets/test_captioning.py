"""Captions by a vision model, against an endpoint on this machine that looks at the pictures it is sent."""

import base64
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from avnb.datasets import DatasetError, caption_videos
from avnb.datasets.captioning import KEY
from avnb.files import cache_folder
from avnb.media import editing
from avnb.media.clip import Clip


class Seeing:
    """Names the colours of the frames; refuses green and breaks off at blue until it is well; counts and keeps."""

    def __init__(self):
        self.bodies, self.headers, self.well = [], [], False
        seeing = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                seeing.bodies.append(body)
                seeing.headers.append(dict(self.headers))
                text = json.dumps(seeing.answer(body)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, body):
        urls = [part["image_url"]["url"] for part in body["messages"][0]["content"] if part["type"] == "image_url"]
        frames = [Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/jpeg;base64,")))) for url in urls]
        names = [("red", "green", "blue")[int(np.asarray(frame).mean(axis=(0, 1)).argmax())] for frame in frames]
        message = {"content": f"<think>What?</think> Something  {names[0]},\n then {names[-1]}."}
        if not self.well and "green" in names:
            message = {"content": None, "refusal": "I do not look at green."}
        return {
            "choices": [
                {"message": message, "finish_reason": "length" if "blue" in names and not self.well else "stop"}
            ]
        }


@pytest.fixture
def seeing(tmp_path, monkeypatch):
    monkeypatch.setenv("AVNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(KEY, raising=False)
    server = Seeing()
    yield server
    server.server.shutdown()
    server.server.server_close()


def film(path, *channels):
    frames = np.zeros((8, 32, 32, 3), np.uint8)
    for part, channel in zip(np.array_split(np.arange(8), len(channels)), channels, strict=True):
        frames[part, :, :, channel] = 220
    return editing.write(path, frames, fps=8)


def test_missing_captions_are_made_and_kept(seeing, tmp_path, caplog, monkeypatch):
    monkeypatch.setenv(KEY, "sk-secret")
    clips = [
        Clip("one", film(tmp_path / "1.mp4", 0), audio_captions=("A bell.",)),
        Clip("told", film(tmp_path / "2.mp4", 0), video_captions=("A red field.",)),
        Clip("green", film(tmp_path / "3.mp4", 0, 1)),
        Clip("blue", film(tmp_path / "4.mp4", 2)),
        Clip("lost", tmp_path / "lost.mp4"),
    ]
    by = f"llm:eyes@{seeing.url}"
    found = caption_videos(clips, by, progress=False)
    assert [clip.id for clip in found] == [clip.id for clip in clips] and found[0].audio_captions == ("A bell.",)
    assert [clip.video_captions for clip in found] == [("Something red, then red.",), ("A red field.",), (), (), ()]
    for said in (
        "3 of 5 clips got no caption",
        "green: refused: 'I do",
        "blue: cut off after 200",
        "lost.mp4 does not",
    ):
        assert said in caplog.text
    assert len(seeing.bodies) == 3 and len(seeing.bodies[0]["messages"][0]["content"]) == 5  # the words and 4 frames
    seeing.well = True
    again = caption_videos(clips, by, progress=False)
    assert len(seeing.bodies) == 5 and again[0] == found[0], "only what failed is asked again"
    assert again[2].video_captions == ("Something red, then green.",) and again[3].video_captions[0].endswith("blue.")
    assert {headers["Authorization"] for headers in seeing.headers} == {"Bearer sk-secret"}
    assert all("sk-secret" not in path.read_text() for path in cache_folder().rglob("*.json"))


def test_other_frames_are_another_question(seeing, tmp_path):
    clip = Clip("a", film(tmp_path / "a.mp4", 0))
    for frames in (1, 2, 2):
        caption_videos([clip], f"llm:eyes@{seeing.url}", frames=frames, progress=False)
    assert [len(body["messages"][0]["content"]) - 1 for body in seeing.bodies] == [1, 2]


def test_an_endpoint_that_is_not_there_loses_nothing(tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    clip = Clip("a", film(tmp_path / "a.mp4", 0))
    assert caption_videos([clip], "llm:eyes@http://127.0.0.1:9/v1", progress=False, attempts=1) == [clip]
    assert "a: unreachable" in caplog.text


@pytest.mark.parametrize(
    "by", ["eyes", "llm:eyes", "llm:http://localhost/v1", "llm:eyes@http://user:sk-secret@host/v1"]
)
def test_a_name_that_is_none_is_refused_without_repeating_it(by):
    with pytest.raises(DatasetError, match="llm:MODEL@URL") as error:
        caption_videos([], by)
    assert "secret" not in str(error.value)
