"""Write the output-free .ipynb beside every chapter, for Colab and papermill: `python book/notebooks.py [--check]`.

The .py files are the only source. A written notebook starts with a cell that installs avnb on Colab and does nothing
anywhere else; the address comes from `_config.yml`. What only the book understands, roles and directives, is written as
plain Markdown, whose links hold wherever the file is opened: they lead to the published book, else to the repository,
and are left out while there is neither. Cell ids count up, so that writing twice gives the same bytes.
"""

import argparse
import posixpath
import re
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import jupytext
import nbformat
import yaml
from pybtex.database import parse_file

ROOT = Path(__file__).resolve().parent.parent
UNSET = "OWNER_TO_SET"  # in the address of a repository that is not published yet

COLAB_CELL = """\
# Google Colab only: install avnb, and leave the torch that Colab comes with alone.
import sys

if "google.colab" in sys.modules:
    import subprocess
    from importlib.metadata import version

    kept = [f"{{name}}=={{version(name)}}" for name in ("torch", "torchvision", "numpy")]
    source = "avnb @ git+{url}@{branch}"
    install = [sys.executable, "-m", "pip", "install", "--quiet", source, *kept]
    done = subprocess.run(install, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(f"avnb could not be installed; pip says:\\n{{done.stdout}}")
"""
_ROLE = re.compile(r"\{(doc|cite)\}`(?:([^`<]+?)\s*<)?([^`<>]+)>?`")
_IMAGE = re.compile(r"```\{image\} (\S+)\n((?::\w+:.*\n)*)```")


@cache
def _title(chapter):
    """The title of a chapter, and of any other page its name."""
    source = ROOT / "notebooks" / f"{chapter}.py"
    found = re.search(r"^# # (.+)$", source.read_text(encoding="utf8"), re.MULTILINE) if source.exists() else None
    return found[1] if found else Path(chapter).name


@cache
def _cited(key):
    """An entry of the bibliography as a link: [Name et al., year](address)."""
    entry = parse_file(ROOT / "book" / "references.bib").entries[key]
    names = [" ".join(person.last_names) for person in entry.persons["author"]]
    by = names[0] if len(names) == 1 else " and ".join(names) if len(names) == 2 else f"{names[0]} et al."
    text = f"{by}, {entry.fields['year']}"
    return f"[{text}]({entry.fields['url']})" if "url" in entry.fields else text


class Places(NamedTuple):
    """Where a reader finds what a notebook links to; "" where that is not published."""

    book: str = ""  # the pages, ending in "/"
    repository: str = ""
    branch: str = "main"

    @classmethod
    def of(cls, config):
        """Those that stand in `_config.yml`, of which this is the content."""
        repository = config["repository"]
        url = "" if UNSET in repository["url"] else repository["url"]
        return cls(config["html"]["baseurl"], url, repository["branch"])

    def page(self, path):
        """The address of a page, of which `path` is the source without its suffix, or ""."""
        if self.book:
            return f"{self.book}{path}.html"
        suffix = ".ipynb" if (ROOT / f"{path}.py").exists() else ".md"
        return self.repository and f"{self.repository}/blob/{self.branch}/{path}{suffix}"

    def file(self, path):
        """The address of a file of the repository as it is, or ""."""
        return self.repository and f"{self.repository}/raw/{self.branch}/{path}"


def plain(markdown, places):
    """Markdown of a chapter without what only the book understands: roles and images become what all notebooks show.

    Example:
        >>> plain("See {doc}`the next chapter <01_data_curation>`.", Places("https://example.org/"))
        'See [the next chapter](https://example.org/notebooks/01_data_curation.html).'
    """

    def role(match):
        kind, text, target = match.groups()
        if kind == "cite":
            return _cited(target)
        return _linked(text or _title(target), places.page(_from_root(target)))

    def image(match):
        alt = re.search(r":alt: (.*)", match[2])
        text, address = alt[1] if alt else "", places.file(_from_root(match[1]))
        return f"!{_linked(text, address)}" if address else f"*{text}*"

    return _IMAGE.sub(image, _ROLE.sub(role, markdown))


def _linked(text, address):
    return f"[{text}]({address})" if address else text


def _from_root(path):
    """A path as a chapter names it, seen from the root of the repository."""
    return posixpath.normpath(posixpath.join("/notebooks", path)).lstrip("/")


def render(source, config=None):
    """The text of the .ipynb that belongs to a .py chapter.

    Args:
        source: path of the chapter.
        config: what `_config.yml` holds; read from there by default.
    """
    config = config or yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))
    places = Places.of(config)
    notebook = jupytext.read(source, fmt="py:percent")
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = plain(cell.source, places)
    install = nbformat.v4.new_code_cell(COLAB_CELL.format(**config["repository"]), metadata={"tags": ["remove-cell"]})
    notebook.cells.insert(0, install)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:03}"
    notebook.metadata = {
        **{key: notebook.metadata[key] for key in ("avnb",) if key in notebook.metadata},
        "kernelspec": notebook.metadata["kernelspec"],
        "language_info": {"name": "python"},
    }
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return nbformat.writes(nbformat.from_dict(notebook)) + "\n"


def outdated(folder=ROOT / "notebooks"):
    """.ipynb path -> the text it should hold where it does not, None where it has no chapter."""
    wanted = {source.with_suffix(".ipynb"): render(source) for source in sorted(folder.glob("*.py"))}
    written = {path: path.read_text(encoding="utf8") for path in sorted(folder.glob("*.ipynb"))}
    return {path: wanted.get(path) for path in wanted | written if wanted.get(path) != written.get(path)}


def main():
    """Write, or with --check only report, what is out of date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a notebook is out of date")
    check = parser.parse_args().check
    stale = outdated()
    for path, text in stale.items():
        print(f"{'out of date' if check else 'removed' if text is None else 'written'}: {path.relative_to(ROOT)}")
        if not check and text is None:
            path.unlink()
        elif not check:
            path.write_text(text, encoding="utf8")
    return bool(check and stale)


if __name__ == "__main__":
    sys.exit(main())
