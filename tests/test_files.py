import os
import signal
import subprocess
import sys

import pytest

from avnb import files
from avnb.files import file_name, whole


@pytest.fixture
def writer(tmp_path):
    """Starts a process that writes on a file and does not end; gives it, once it writes."""
    code = "import sys, time; from avnb.files import whole\nwith whole(sys.argv[1]): print(flush=True); time.sleep(60)"
    started = []

    def start():
        command = [sys.executable, "-c", code, str(tmp_path / "file.txt")]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        started[-1].stdout.readline()
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def write(path):
    files._tidy.cache_clear()  # as in a process of its own
    with whole(path) as partial:
        partial.write_text("all")


def test_a_killed_writer_leaves_nothing_for_long(writer, tmp_path):
    for _ in range(2):
        process = writer()
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len(list(tmp_path.iterdir())) == 1, "one file, half written; that of the one before is gone"
    write(tmp_path / "other.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["other.txt"]


def test_what_others_are_writing_is_left_alone(writer, tmp_path, monkeypatch):
    writer()
    monkeypatch.setattr(files.platform, "node", lambda: "another machine")
    write(tmp_path / "other.txt")
    monkeypatch.undo()
    write(tmp_path / "other.txt")
    (unfinished,) = tmp_path.glob(".*")
    os.utime(unfinished, (0, 0))  # for more than a day, nobody does
    write(tmp_path / "other.txt")
    assert not list(tmp_path.glob(".*"))


def test_a_block_that_fails_leaves_the_file_as_it_was(tmp_path):
    write(tmp_path / "a.txt")
    with pytest.raises(FileNotFoundError), whole(tmp_path / "a.txt") as partial:
        partial.with_name("other").write_text("not what was asked for")
    assert (tmp_path / "a.txt").read_text() == "all" and len(list(tmp_path.iterdir())) == 1


def test_names_of_files_stay_apart_and_in_their_folder():
    ids = ["x", "train/x", "test/x", "train+x", "../x", "/x", "x" * 300, "x" * 301, "a b", "a_b", "..", ""]
    names = [file_name(one) for one in ids]
    assert len(set(names)) == len(ids)
    assert all(name and name[0] != "." and "/" not in name and len(name) <= 120 for name in names)
