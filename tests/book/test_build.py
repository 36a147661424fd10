"""What book/build.py forgets, and when."""

import importlib.util
from pathlib import Path

import pytest

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def build(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("book_build", ROOT / "book" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    package = tmp_path / "avnb" / "toybox"
    package.mkdir(parents=True)
    (package / "scenes.py").write_text("x = 1\n")
    (package / "model.safetensors").write_bytes(b"\0" * 10)
    return module


def test_digest_follows_content_and_names_only(build, tmp_path):
    package = tmp_path / "avnb"
    first = build.digest([package])
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.pyc").write_bytes(b"1")
    (package / "toybox" / "scenes.py").touch()
    assert build.digest([package]) == first
    (package / "toybox" / "model.safetensors").write_bytes(b"\1" * 10)
    second = build.digest([package])
    (package / "toybox" / "model.safetensors").rename(package / "toybox" / "other.safetensors")
    assert len({first, second, build.digest([package])}) == 3


def test_outputs_are_forgotten_when_the_package_changes(build, tmp_path):
    stamp, kept = tmp_path / ".code", tmp_path / "cache"

    def after_forget():
        kept.mkdir(exist_ok=True)
        build.forget(stamp, [tmp_path / "avnb"], [kept])
        return kept.exists()

    assert not after_forget()  # nothing is known yet
    assert after_forget()
    (tmp_path / "avnb" / "toybox" / "scenes.py").write_text("x = 2\n")
    assert not after_forget()
    assert after_forget()
