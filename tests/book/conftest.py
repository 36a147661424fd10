"""The built book, for all tests that look at it."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"


@pytest.fixture(scope="session")
def book(smol):
    """Builds what is out of date (notebooks that did not change come from the cache); page name -> parsed page."""
    done = subprocess.run([sys.executable, "book/build.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    names = [toc["root"], *(entry["file"] for part in toc["parts"] for entry in part["chapters"])]
    return {name: BeautifulSoup((HTML / f"{name}.html").read_text(encoding="utf8"), "html.parser") for name in names}
