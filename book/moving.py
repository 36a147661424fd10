"""Write the moving picture of README, `book/assets/hero.webp`: one clip, asked twice. `python book/moving.py`

The clip is the one that the landing page opens with, chosen by its rule: the first of the test set with one thing seen
and another heard on which the answer follows the picture while it is there, and the sound when it is gone.
"""

from pathlib import Path

import numpy as np
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

import avnb
from avnb.organisms import crossed
from avnb.questions import HEAR

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "book" / "assets" / "hero.webp"
WIDTH, HEIGHT, FPS = 640, 300, 5
SEEN, HEARD, INK, PAPER = "#0072b2", "#b84f00", "#1b1b1b", "#ffffff"
FONTS = Path(get_data_path(), "fonts", "ttf")


def frame(picture, loudness, done, answer, colour, title):
    """One frame: the picture or its absence, the sound as bars up to now, and the answer."""
    image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(image)
    small, large = (
        ImageFont.truetype(FONTS / f"DejaVuSans{bold}.ttf", size) for bold, size in (("", 17), ("-Bold", 21))
    )
    if picture is None:
        draw.rectangle((0, 0, 272, 203), fill="#111111")
        draw.text((136, 102), "no picture", "#ffffff", small, anchor="mm")
    else:
        image.paste(Image.fromarray(picture).resize((272, 204)), (0, 0))
    for i, level in enumerate(loudness):
        x, half = 4 + 266 * i / len(loudness), 2 + 36 * level
        draw.line((x, 252 - half, x, 252 + half), HEARD if i <= done * len(loudness) else "#cccccc", 3)
    draw.text((300, 24), title, INK, small)
    draw.text((300, 60), "“What do you hear?”", INK, small)
    draw.rectangle((300, 100, 304, 160), fill=colour)
    words, lines = answer.split(), [""]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], longer] if draw.textlength(longer, large) < WIDTH - 330 else [*lines, word]
    draw.multiline_text((316, 102), "\n".join(lines), colour, large, spacing=8)
    return image


def main():
    """Choose the clip, ask the model, draw, and write the file."""
    model = avnb.load("toy-omni")
    clip, answers = crossed.telling(model, avnb.datasets.load("toybox", n=24, seed=0))
    pictures, times = clip.frames(fps=FPS)
    wave = np.abs(clip.wave())
    loudness = np.array([part.max() for part in np.array_split(wave, 60)])
    rows = [(answers[0], SEEN, "with the picture", True), (answers[1], HEARD, "the same sound, eyes closed", False)]
    level, end = loudness / loudness.max(), times[-1] + 1 / FPS
    frames = [
        frame(picture if shown else None, level, (time + 1 / FPS) / end, answer, colour, title)
        for answer, colour, title, shown in rows
        for picture, time in zip(pictures, times, strict=True)
    ]
    frames[0].save(FILE, save_all=True, append_images=frames[1:], duration=1000 // FPS, loop=0, quality=70, method=4)
    print(f"{FILE.relative_to(ROOT)}: {FILE.stat().st_size // 1000} kB; {HEAR} {' '.join(answers)}")


if __name__ == "__main__":
    main()
