"""The parts of a table while it is measured: one file a job, so that an interrupted measurement can go on."""

import contextlib
import shutil
import time
from functools import partial
from pathlib import Path

from avnb.files import digest
from avnb.study.fingerprints import files_state, job_fingerprint
from avnb.study.tables import StudyError, joined, read, write

MADE = ".made"  # the folder, beside the tables, of clips that jobs make; nobody else's clips lie there
_DAY = 24 * 3600  # seconds; what is younger may be in use, or be used again for the next model


class Parts:
    """The folder of a table's parts.

    Args:
        folder: where the parts are; made when the first one is written.
        rests_on: fingerprints of what all parts rest on: code and weights.
        jobs: all jobs of the table.
    """

    def __init__(self, folder, rests_on, jobs):
        self.folder = folder
        self._states = {job: files_state(job) for job in jobs}
        self._prints = {job: digest([rests_on, job_fingerprint(job)]) for job in jobs}
        self._files = {job: folder / f"{name}.parquet" for job, name in self._prints.items()}

    def restore(self, table, sizes):
        """Makes parts again of a table whose clips have changed in part.

        Args:
            table: the rows of all its jobs, one after the other.
            sizes: of each of these jobs (fingerprint, how many rows it has), from `attrs` of `fill`.
        """
        files = {print_: self._files[job] for job, print_ in self._prints.items()}
        start = 0
        for print_, n_rows in sizes:
            if n_rows and print_ in files and not files[print_].exists():
                write(table.iloc[start : start + n_rows].reset_index(drop=True), files[print_], {})
            start += n_rows

    def fill(self, jobs, function, at_once=1):
        """Has the jobs measured that have no part yet, and reads the others.

        Args:
            jobs: in their order.
            function: takes a job, gives its rows, likewise.
            at_once: jobs without a part that are handed out together, at most.

        Yields:
            List of (job, work) where there are no parts. A list is to be sent back: for each the rows that `work`
            gives, or the error that it ended in. What came before an error is kept.

        Returns:
            All rows, with `attrs` as `jobs.over` sets them, and "sizes": (fingerprint, number of rows) of each job. A
            clip that is left out leaves no part.
        """
        tables, lacking = [], []
        for job in jobs:
            try:
                tables.append(read(self._files[job]))
            except StudyError:  # not there, damaged, or tidied away by another run
                lacking.append((len(tables), job))
                tables.append(None)
            if len(lacking) == at_once:
                yield from self._measured(lacking, function, tables)
                lacking = []
        if lacking:
            yield from self._measured(lacking, function, tables)
        left_out, passing = {}, []
        for rows in tables:
            left_out |= rows.attrs.get("left_out", {})
            passing += rows.attrs.get("passing", [])
        table = joined(tables)
        sizes = [(self._prints[job], len(rows)) for job, rows in zip(jobs, tables, strict=True)]
        table.attrs = {"left_out": left_out, "passing": passing, "sizes": sizes}
        return table

    def _measured(self, lacking, function, tables):
        """Has the tables made that are lacking, (where, job)."""
        found = yield [(job, partial(function, job)) for _, job in lacking]
        for (i, job), rows in zip(lacking, found, strict=True):
            if isinstance(rows, Exception):
                raise rows
            if files_state(job) != self._states[job]:
                rows = rows.iloc[:0]
                reason = "its files changed while it was measured; call again"
                ids = [clip.id for clip in job.clips]
                rows.attrs = {"left_out": dict.fromkeys(ids, reason), "passing": ids}
            tables[i] = rows if rows.attrs.get("left_out") else _kept(rows, self._files[job])

    def sweep(self, keep=False):
        """Removes the parts, and what interrupted runs left; with `keep` only parts of other code, weights or clips."""
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        elif self.folder.is_dir():
            for path in set(self.folder.iterdir()) - set(self._files.values()):
                with contextlib.suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def sweep_made(folder):
    """Removes those sub-folders of `MADE` that no job has used for a day; whoever uses one renews its time."""
    for path in Path(folder).glob("*/"):
        with contextlib.suppress(OSError):  # another call sweeps too
            if time.time() - path.stat().st_mtime > _DAY:
                shutil.rmtree(path)


def _kept(rows, path):
    """Writes a part, and gives the rows as they are read again."""
    try:
        return write(rows, path, {})
    except FileNotFoundError:  # another call for this table has ended meanwhile, and swept
        return write(rows, path, {})
