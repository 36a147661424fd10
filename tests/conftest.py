"""Shared fixtures: an organism with random weights, and a few real clips."""

import contextlib
import os

import pytest

from tests import recordings

_LONGEST = ("test_book.py", "test_notebooks.py")


def pytest_collection_modifyitems(items):
    """The files that take longest come first: one worker builds the book while another one runs the chapters."""
    items.sort(key=lambda item: item.path.name not in _LONGEST)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """A skipped test shows nothing: one that fills a cell of the book's table fails instead."""
    report = yield
    if report.skipped and item.get_closest_marker("shows"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} fills a cell of the table in book/models.md, and was skipped"
    return report


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """Clips that tests make do not go to the user's cache, but to one that all workers of a run share.

    Yields the folder of the language model in the user's cache.
    """
    from avnb.models import smollm

    fetched, run = smollm.folder(), tmp_path_factory.getbasetemp()
    cache = (run.parent if "PYTEST_XDIST_WORKER" in os.environ else run) / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVNB_CACHE", str(cache))
        yield fetched


@pytest.fixture(scope="session")
def smol(cache_folder):
    """The language model of the organisms that can talk (93 MB), fetched into the user's cache unless it is there."""
    from avnb.models import smollm

    here = smollm.folder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVNB_CACHE", str(cache_folder.parent))
        smollm.fetch()
    here.parent.mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError):  # another worker was here
        here.symlink_to(cache_folder)


@pytest.fixture(scope="session")
def organism_folder(tmp_path_factory):
    """A checkpoint folder of an organism with random weights, as training would save it."""
    import torch
    from transformers import Qwen2_5OmniThinkerForConditionalGeneration

    from avnb.organisms import omni as organism

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("organism")
    processor = organism.build_processor()
    Qwen2_5OmniThinkerForConditionalGeneration(organism.build_config(processor.tokenizer)).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def random_organism(organism_folder):
    """That organism, loaded."""
    import avnb

    return avnb.load(str(organism_folder))


@pytest.fixture(scope="session")
def toybox_clips(tmp_path_factory):
    """Four matching clips of the test split, as files."""
    from avnb import datasets
    from avnb.toybox import world

    return datasets.load(world.write(tmp_path_factory.mktemp("toybox"), n=4, relation="matching"))


@pytest.fixture(scope="session")
def second_colours(tmp_path_factory):
    """The path of a video with sound whose colour changes every second."""
    return recordings.coloured_video(tmp_path_factory.mktemp("media") / "colours.mp4")


@pytest.fixture(scope="session")
def counted(tmp_path_factory):
    """The path of a video whose frames show their number."""
    return recordings.counted_video(tmp_path_factory.mktemp("media") / "counted.mp4")
