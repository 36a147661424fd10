"""Files: where made and fetched ones are kept, how they are named, written whole, and told apart."""

import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psutil

_UNFINISHED = ".unfinished"  # how folders begin in which a file is written
_DAY = 24 * 3600  # seconds; nobody writes on one file for longer


def cache_folder():
    """Where made or fetched clips are kept: the environment variable AVNB_CACHE, or `.cache/avnb` in your home.

    Can be deleted at any time.
    """
    return Path(os.environ.get("AVNB_CACHE") or Path.home() / ".cache" / "avnb")


def safe_name(text):
    """A text as part of a file name: "Qwen/Qwen2.5-Omni-3B" becomes "Qwen+Qwen2.5-Omni-3B".

    Example:
        >>> safe_name("Qwen/Qwen2.5-Omni-3B")
        'Qwen+Qwen2.5-Omni-3B'
    """
    return re.sub(r"[^\w.+-]", "_", str(text).strip("/").replace("/", "+"))


def file_name(identity):
    """A file name, without suffix, for anything that has an id: never a path, never too long, never that of another id.

    Example:
        >>> file_name("dog-1"), len(file_name("../" * 100)) <= 120
        ('dog-1', True)
    """
    name = safe_name(identity)
    plain = name == identity and 0 < len(name) <= 100 and not name.startswith(".")
    return name if plain else f"{name[:100].lstrip('.')}-{digest(identity)}"


@contextmanager
def whole(path):
    """A path to write to, which takes the place of `path` once the block has ended well: a file is whole or not there.

    Missing folders are made. Several processes may write the same file; the last one wins. What killed
    ones have left in the folder is removed.

    Example:
        >>> target = Path(tempfile.mkdtemp(), "new", "table.txt")
        >>> with whole(target) as partial:
        ...     _ = partial.write_text("all of it")
        >>> target.read_text()
        'all of it'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _tidy(path.parent.resolve())
    with tempfile.TemporaryDirectory(prefix=f"{_UNFINISHED}-{_machine()}-{os.getpid()}-", dir=path.parent) as folder:
        partial = Path(folder, path.name)
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)


@cache
def _tidy(folder):
    """Removes what killed processes have left in a folder; once a process is enough."""
    for left in folder.glob(f"{_UNFINISHED}-*"):
        with suppress(OSError):
            if _is_left(left):
                shutil.rmtree(left, ignore_errors=True)


def _is_left(unfinished):
    """Whether nobody writes here any more: the process has ended, or it was one of another machine a day ago."""
    _, machine, process, _ = unfinished.name.rsplit("-", 3)
    ended = machine == _machine() and not psutil.pid_exists(int(process))
    return ended or time.time() - unfinished.stat().st_mtime > _DAY


def _machine():
    return digest(platform.node())


def file_hash(path):
    """A hash of a file's content, "missing" if there is no such file."""
    if not Path(path).is_file():
        return "missing"
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(value):
    """A short hash of anything that can be written as JSON; what cannot is taken by its text."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]
