"""What the book's own extensions do to a page."""

import base64
import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "book" / "extensions" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_video_becomes_one_file_and_its_poster_stays(tmp_path):
    video = base64.b64encode(b"a video").decode()
    one = f'<video preload="metadata" poster="data:image/jpeg;base64,AA==" src="data:video/mp4;base64,{video}"></video>'
    page = loaded("clips").apart(one + one, tmp_path, lambda path: f"../{path}")
    (file,) = (tmp_path / "_static" / "clips").iterdir()
    assert file.read_bytes() == b"a video"
    assert page.count(f'src="../_static/clips/{file.name}"') == page.count('preload="none"') == 2
    assert "data:video" not in page and page.count("data:image/jpeg") == 2
