"""Players inside notebooks."""

import base64
import io

import av
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from avnb import show
from avnb.media import clip as clips
from avnb.media import editing


@pytest.fixture
def video(tmp_path):
    frames = np.full((8, 48, 64, 3), 128, np.uint8)
    return editing.write(tmp_path / "grey.mp4", frames, fps=8, wave=np.zeros(16000, np.float32))


def parse(shown):
    return BeautifulSoup(shown.data, "html.parser")


def test_one_path(video):
    page = parse(show.player(video, caption="A grey clip"))
    (element,) = page.select("figure > video[controls]")
    assert element["src"].startswith("data:video/mp4;base64,")
    poster = Image.open(io.BytesIO(base64.b64decode(element["poster"].split(",", 1)[1])))
    assert poster.size == (64, 48) and abs(poster.getpixel((30, 20))[0] - 128) < 8
    assert element["aria-label"] == element["title"] == page.figcaption.text == "A grey clip"


def test_a_clip_without_caption_is_labelled_by_what_is_known_of_it_and_not_by_its_id(video):
    page = parse(show.player(clips.Clip(id="dog-7", video=video, seen=("dog",))))
    assert page.video["aria-label"] == "A clip; seen: dog; heard: not known" and page.figcaption is None


def test_the_controls_lie_below_the_picture(video):
    """A video of 64 x 48 at 200 px is 150 px high."""
    assert "aspect-ratio:200/194;object-position:top" in parse(show.player(video, width=200)).video["style"]


def sound(page):
    data = base64.b64decode(page.video["src"].split(",", 1)[1])
    with av.open(io.BytesIO(data)) as container:
        if not container.streams.audio:
            return None
        return max(float(np.abs(frame.to_ndarray()).max()) for frame in container.decode(audio=0))


def test_a_clip_sounds_as_a_model_hears_it(video, tmp_path):
    """The video's own track is silent, the donor's is a tone."""
    frames = np.full((8, 48, 64, 3), 128, np.uint8)
    tone = 0.5 * np.sin(np.arange(16000) * 0.2)
    donor = editing.write(tmp_path / "tone.mp4", frames, fps=8, wave=tone)
    assert sound(parse(show.player(clips.Clip("own", video)))) < 0.01
    assert sound(parse(show.player(clips.Clip("other", video, audio=donor, kind="counterfactual")))) > 0.3
    assert sound(parse(show.player(clips.Clip("mute", donor, kind="mute")))) is None


def test_several_clips_with_captions(video):
    page = parse(show.player([video, str(video)], width=200, caption=["one", "two"]))
    assert [c.text for c in page.select("figcaption")] == ["one", "two"]
    assert "200px" in page.select_one(".avnb-players")["style"]


def test_captions_are_text_not_markup(video):
    page = parse(show.player(video, caption='<b>"&'))
    assert page.figcaption.text == page.video["title"] == '<b>"&' and page.b is None


def test_clear_errors(tmp_path, video, monkeypatch):
    with pytest.raises(clips.ClipError, match="nowhere.mp4 does not exist"):
        show.player(tmp_path / "nowhere.mp4")
    with pytest.raises(ValueError, match="2 clips and 1 captions"):
        show.player([video, video], caption=["one"])
    monkeypatch.setattr(show, "MAX_BYTES", 10)
    with pytest.raises(ValueError, match="show a shorter cut"):
        show.player(video)


def test_table_has_a_caption_and_no_row_numbers():
    page = parse(show.table(pd.DataFrame({"layer": [0], "value": [0.123]}), "Shares"))
    assert page.p.text == page.table["aria-label"] == "Shares"
    assert [cell.text for cell in page.select("td")] == ["0", "0.12"]
    assert "dataframe" in page.table["class"] and page.table.parent["tabindex"] == "0"


def test_nothing_in_a_table_becomes_markup():
    evil = "<script>alert(1)</script>"
    page = show.table(pd.DataFrame({evil: [evil]}), evil).data
    assert "<script>" not in page and page.count("&lt;script&gt;") == 4
    assert "<script>" not in show.in_short(evil, {evil: evil}, evil).data
    assert "<script>" not in show.provenance(model=evil).data


def test_a_long_answer_is_cut_whether_its_words_are_parted_or_not():
    clip = clips.Clip("a", "a.mp4")
    assert show.said(clip, "it", "I hear a bell. " * 20, most=20).endswith("“I hear a bell. I …”")
    assert show.said(clip, "it", "我听到铃声" * 20, most=10).endswith("“我听到铃声我听到铃声 …”")
