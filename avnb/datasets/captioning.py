"""Captions of pictures where a set has none, by a vision-language model behind any OpenAI-compatible endpoint.

    clips = datasets.caption_videos(clips, "llm:Qwen/Qwen3-VL-8B-Instruct@http://localhost:8000/v1")

The model sees frames and hears nothing. Every caption is kept on disk, under the hash of the frames and the request, so
that a second run asks only for what is missing. A key is read from the environment variable AVNB_CAPTIONS_KEY.
"""

import base64
import io
import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from PIL import Image
from tqdm import tqdm

from avnb.datasets.manifest import DatasetError
from avnb.endpoint import URL, Endpoint, NoAnswerError, said
from avnb.files import cache_folder, digest, whole
from avnb.media.clip import ClipError
from avnb.text import listed

KEY = "AVNB_CAPTIONS_KEY"  # the environment variable that holds the endpoint's key

_MAX_TOKENS = 200  # of a caption
_PIXELS = 512 * 512  # of a frame, at most
_INSTRUCTION = (
    "These frames show one video, in order. Say in one sentence of plain text what can be seen in it: who or what is "
    "there, and what happens. Leave out what could only be heard, text on the screen, and every guess."
)

logger = logging.getLogger(__name__)


def caption_videos(clips, by, frames=4, at_once=8, progress=True, **options) -> list:
    """Gives clips without a video caption one.

    Args:
        clips: any iterable of clips.
        by: "llm:MODEL@URL", the URL up to and with "/v1".
        frames: how many frames the model is shown, from the middles of as many equal parts.
        at_once: how many requests may be under way.
        progress: whether to show how far it is.
        options: of the `endpoint.Endpoint`: attempts, timeout, pause.

    Returns:
        list of `Clip`, all of them in order. Those for which the model had no answer, or whose pictures cannot be read,
        stay as they were: the log says how many, which and why, and another call asks for these alone.

    Raises:
        DatasetError: `by` names no model and endpoint.
    """
    named = re.fullmatch(rf"llm:(?P<model>\S+)@(?P<url>{URL})", str(by))
    if not named:  # without the name, in which there may be a key
        expected = "llm:MODEL@URL, the URL starting with http, without a user, a key or a query"
        raise DatasetError(f"a model that captions is called {expected}; keys are read from {KEY}")
    endpoint = Endpoint(named["url"], KEY, at_once=at_once, **options)

    def captioned(clip):
        if clip.video_captions:
            return clip, None
        try:
            return replace(clip, video_captions=(_caption(clip, named["model"], endpoint, frames),)), None
        except (NoAnswerError, ClipError) as why:
            return clip, f"{clip.id}: {why}"

    clips = list(clips)
    with ThreadPoolExecutor(at_once) as pool:
        shown = {"total": len(clips), "unit": "clip", "disable": None if progress else True}
        found = list(tqdm(pool.map(captioned, clips), "captions", **shown))
    if failed := [why for _, why in found if why]:
        logger.warning("%d of %d clips got no caption: %s", len(failed), len(clips), listed(failed))
    return [clip for clip, _ in found]


def _caption(clip, model, endpoint, frames):
    """The caption of a clip, from disk or from the endpoint."""
    pictures = [_jpeg(picture) for picture in clip.frames(max_pixels=_PIXELS, sample=f"midpoints:{frames}")[0]]
    urls = [f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}" for picture in pictures]
    images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    request = {
        "model": model,
        "messages": [{"role": "user", "content": [{"type": "text", "text": _INSTRUCTION}, *images]}],
        "temperature": 0,
        "seed": 0,
        "max_tokens": _MAX_TOKENS,
    }
    file = cache_folder() / "captions" / digest(model) / f"{digest(request)}.json"
    try:
        return json.loads(file.read_text(encoding="utf8"))["caption"]
    except (OSError, ValueError, KeyError, TypeError):  # not there, or damaged
        body, seconds = endpoint.reply(request)
    caption = " ".join(said(body, _MAX_TOKENS).split())
    if not caption:
        raise NoAnswerError("unparsable: an empty caption")
    with whole(file) as partial:
        record = {"model": model, "instruction": _INSTRUCTION, "caption": caption, "seconds": seconds}
        partial.write_text(json.dumps(record, ensure_ascii=False), encoding="utf8")
    return caption


def _jpeg(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=90)
    return file.getvalue()
