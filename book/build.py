"""Build the book into `_build/html`, with every warning an error: `python book/build.py [--runs FOLDER]`.

Jupyter Book keeps the outputs of executed notebooks and re-executes one only when its own code changes. What the
notebooks show also depends on the package, its checkpoints and the pinned versions, so their content is hashed here:
when the hash moves, the kept outputs and the parsed pages go; when only the configuration or the contents list moves,
the pages go and the outputs stay.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
NO_PROGRESS = {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}  # a bar would put a widget into a page


def digest(paths):
    """SHA-256 over the names and contents of files, and of the files below folders."""
    total = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                total.update(f"{file.relative_to(ROOT)}\0".encode())
                total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def forget(stamp, paths, outdated):
    """Remove the folders in `outdated` if the content of `paths` is not what `stamp` remembers."""
    now = digest(paths)
    if not stamp.exists() or stamp.read_text() != now:
        for folder in outdated:
            shutil.rmtree(folder, ignore_errors=True)
        stamp.write_text(now)


def build(runs=None):
    """Build what is out of date, with the executed runs of a folder if one is given (`book/runs.py`).

    Returns the exit status of jupyter-book.
    """
    BUILD.mkdir(exist_ok=True)
    with (BUILD / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two builds at once would share one cache
        pages = [BUILD / ".doctrees", BUILD / "html"]
        forget(BUILD / ".code", [ROOT / "avnb", ROOT / "requirements.txt"], [BUILD / ".jupyter_cache", *pages])
        contents = ROOT / "_toc.yml"
        settings = [ROOT / "_config.yml", contents, ROOT / "book" / "extensions"]
        if runs is not None:
            from runs import prepare  # loads the package, which a plain build leaves to the notebooks

            contents = prepare(runs)
            settings.append(ROOT / "book" / "runs")
        forget(BUILD / ".settings", settings, pages)
        command = [Path(sys.executable).with_name("jupyter-book"), "build", "-W", "-n", "--keep-going", ROOT]
        command += ["--toc", contents]
        status = subprocess.run(command, cwd=ROOT, env=os.environ | NO_PROGRESS).returncode
        if status:
            # Warnings come up when a page is read: a second build would take the parsed page and pass.
            (BUILD / ".settings").unlink()
        return status


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, help="a folder that `avnb run --out` wrote to")
    sys.exit(build(parser.parse_args().runs))
