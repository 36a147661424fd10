"""What the readers share: the published file, its fields, and media wherever below the folder they lie."""

import json
from collections import defaultdict
from pathlib import Path

from avnb.datasets.manifest import DatasetError


class Folder:
    """A copy of a published set.

    Args:
        root: the folder, or the published file itself, with the media anywhere below its folder.
        layout: what is expected there, for people.

    Raises:
        DatasetError: there is no such folder.
    """

    def __init__(self, root, layout):
        self.root, self.layout = Path(root), layout
        self.file = self.root if self.root.is_file() else None
        if self.file:
            self.root = self.root.parent
        if not self.root.is_dir():
            raise DatasetError(f"{root} is no folder; needed are {layout}")
        self._named = defaultdict(list)
        for path in sorted(self.root.rglob("*")):
            self._named[path.name].append(path)

    def read(self, *names):
        """(name, content) of the published file: JSON, or JSON Lines as a list.

        Raises:
            DatasetError: it is not there, or no JSON.
        """
        file = self.file or next((self._named[name][0] for name in names if self._named.get(name)), None)
        if file is None:
            raise DatasetError(f"{self.root} holds no {' or '.join(names)}; needed are {self.layout}")
        text = file.read_text(encoding="utf-8")
        try:
            if file.suffix == ".jsonl":
                return file.name, [json.loads(line) for line in text.splitlines() if line.strip()]
            return file.name, json.loads(text)
        except json.JSONDecodeError as error:
            raise DatasetError(f"{file.name} is no JSON ({error}); download it again") from error

    def media(self, path):
        """The file below the folder whose path ends most like this one; a path that is not there if none does."""
        wanted = Path(path)
        return max(
            self._named.get(wanted.name, ()), key=lambda found: _n_common(found, wanted), default=self.root / wanted
        )


def fields(row, names, where):
    """The values of fields of a row.

    Raises:
        DatasetError: one is missing; lists those that are there.
    """
    if not isinstance(row, dict):
        raise DatasetError(f"{where}: {str(row)[:40]!r} is no JSON object with {', '.join(names)}")
    if lacking := [name for name in names if name not in row]:
        raise DatasetError(f"{where}: no field {', '.join(lacking)}, only {', '.join(map(str, row))}")
    return [row[name] for name in names]


def _n_common(a, b):
    """How many parts two paths share from their ends."""
    n = 0
    for one, other in zip(reversed(a.parts), reversed(b.parts), strict=False):
        if one != other:
            break
        n += 1
    return n
