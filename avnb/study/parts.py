"""The parts of a table while it is measured: one file a job, so that an interrupted measurement can go on."""

import contextlib
import shutil
from functools import partial

from avnb.files import digest
from avnb.study.fingerprints import job_fingerprint
from avnb.study.tables import StudyError, joined, read, write


class Parts:
    """The folder of a table's parts.

    Args:
        folder: where the parts are; made when the first one is written.
        rests_on: fingerprints of what all parts rest on: code and weights.
        jobs: all jobs of the table.
    """

    def __init__(self, folder, rests_on, jobs):
        self.folder = folder
        self._files = {job: folder / f"{digest([rests_on, job_fingerprint(job)])}.parquet" for job in jobs}

    def fill(self, jobs, function):
        """Has the jobs measured that have no part yet, and reads the others.

        Args:
            jobs: in their order.
            function: takes a job, gives its rows, with `attrs` as `jobs.over` sets them.

        Yields:
            (job, work) where there is no part; the rows that `work` gives are to be sent back.

        Returns:
            (table, left_out, passing): all rows, {id of a clip: why it has none}, and the ids of those whose reason may
            pass by itself. Such a clip leaves no part.
        """
        tables, left_out, passing = [], {}, []
        for job in jobs:
            try:
                tables.append(read(self._files[job]))
            except StudyError:  # not there, damaged, or tidied away by another run
                rows = yield job, partial(function, job)
                if rows.attrs.get("left_out"):
                    left_out |= rows.attrs["left_out"]
                    passing += rows.attrs["passing"]
                    tables.append(rows)
                else:
                    tables.append(_kept(rows, self._files[job]))
        return joined(tables), left_out, passing

    def sweep(self, keep=False):
        """Removes the parts, and what interrupted runs left; with `keep` only parts of other code, weights or clips."""
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        elif self.folder.is_dir():
            for path in set(self.folder.iterdir()) - set(self._files.values()):
                with contextlib.suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _kept(rows, path):
    """Writes a part, and gives the rows as they are read again."""
    try:
        return write(rows, path, {})
    except FileNotFoundError:  # another call for this table has ended meanwhile, and swept
        return write(rows, path, {})
