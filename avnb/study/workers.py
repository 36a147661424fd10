"""Many workers on one table: each measures shares of the jobs and leaves their parts on disk.

    with measuring(workers=8) as measure:
        tables, failed = measure(["fidelity"], "toy-omni", clips, dataset="toybox")

The engine is Dask (the extra `cluster`). A worker is a process with one thread, a GPU of its own where there are any,
and one model, which it loads once. All of them, and whoever asks, see the same files under the same paths. Since a part
is a file for each job, a worker that is lost costs the job it was at: its share is given to another one, which finds
the rest done. The same holds for an interrupted call.

Notebooks find workers by the address of their scheduler in the environment variable AVNB_SCHEDULER (`at_hand`): every
table that is asked for by `study.measure` or `study.table` is then measured by them, while the notebook waits for it.
"""

import logging
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import cache, lru_cache, partial
from pathlib import Path

from tqdm import tqdm

from avnb import models
from avnb.files import cache_folder
from avnb.study import SCHEDULER, together
from avnb.study.fingerprints import model_fingerprint, unchanging
from avnb.study.kernels import environment
from avnb.study.tables import StudyError

SHARES = 4  # for each worker: they end at different times, and what is left is shared out again

logger = logging.getLogger(__name__)


@contextmanager
def measuring(workers=None, scheduler=None, cluster=None):
    """`together.measure`, on workers if any are asked for; see `connected` for how, and for what may fail."""
    if workers is None and scheduler is None and cluster is None:
        yield together.measure
    else:
        with connected(workers, scheduler, cluster) as client:
            yield partial(measure, client)


@contextmanager
def at_hand(workers=None, scheduler=None, cluster=None):
    """Workers for the processes that are started within the block, such as kernels of notebooks; none without any."""
    if workers is None and scheduler is None and cluster is None:
        yield
    else:
        with connected(workers, scheduler, cluster) as client, environment({SCHEDULER: client.scheduler.address}):
            yield


@contextmanager
def connected(workers=None, scheduler=None, cluster=None):
    """A client of Dask with workers, which are started here unless a scheduler is named, and ended with the block.

    Args:
        workers: how many to start; 1 without.
        scheduler: address of a scheduler that runs already, with workers of its own.
        cluster: "slurm" starts each worker as a job of Slurm, with the settings of dask-jobqueue and those in the
            environment variables of sbatch (SBATCH_PARTITION, SBATCH_GPUS, SBATCH_TIMELIMIT ...).

    Raises:
        StudyError: Dask is not installed, no scheduler answers, Slurm is not there or refuses, or what is asked for
            excludes itself.
    """
    if scheduler is not None and (workers is not None or cluster is not None):
        raise StudyError("a scheduler has workers of its own; give its address without workers and without a cluster")
    if cluster not in (None, "slurm"):
        raise StudyError(f"there is no cluster {cluster!r}; use slurm, or a scheduler that you started yourself")
    client, started = _client(workers, scheduler, cluster)
    try:
        logger.warning("workers can be watched at %s", client.dashboard_link)
        yield client
    finally:
        client.close()
        if started is not None:
            logging.getLogger("distributed").setLevel(logging.ERROR)  # that workers end is no news now
            started.close()


def _client(workers=None, scheduler=None, cluster=None):
    """(client, what was started for it); see `connected`."""
    try:
        import distributed

        if cluster:
            import dask_jobqueue  # noqa: F401
    except ModuleNotFoundError as error:
        raise StudyError(f'workers need {error.name}; install it with: pip install "avnb[cluster]"') from error
    try:
        if scheduler is not None:
            return distributed.Client(scheduler), None
        started = _slurm(workers or 1) if cluster else _here(workers or 1)
        return distributed.Client(started), started
    except (OSError, ValueError) as error:  # the second, if it is no address
        asked = f"the scheduler {scheduler} does not answer" if scheduler else "no workers could be started"
        raise StudyError(f"{asked}: {error}") from error


def seconds_to_start(model):
    """How long it takes until a worker that is started here has loaded a model, by its name.

    Raises:
        StudyError: Dask is not installed.
    """
    start = time.perf_counter()
    with connected(1) as client:
        client.submit(_load, model, pure=False).result()
        return time.perf_counter() - start


def _load(model):
    _loader(model)(model)


def measure(client, names, model, clips, *, dataset, seed=0, out=None, retry=False, **options):
    """As `together.measure`, with the jobs shared out to workers.

    Args:
        client: from `connected`.
        names: of the analyses.
        model: the name of a model, which the workers load.
        clips, dataset, seed, out, retry, **options: as in `together.measure`.

    Returns:
        (tables, failed): {analysis: table} and {analysis: the error that ended it}.

    Raises:
        StudyError: workers died again and again at the same share; and what `together.measure` raises.
    """
    clips = list(clips)
    asked = {"dataset": dataset, "seed": seed, "out": _folder(out), "retry": retry, **options}
    _share_out(client, names, model, clips, asked)
    with _survivors():
        tables, failed = client.submit(_measured, Path.cwd(), names, model, clips, asked, pure=False).result()
    for table in tables.values():
        for clip, reason in table.attrs["left_out"].items():
            logger.warning("left out clip %s: %s", clip, reason)
    return tables, failed


def fill(analysis, model, weights, clips, *, out, **asked):
    """Has the parts of a table measured by the workers of the scheduler in AVNB_SCHEDULER.

    Args:
        analysis: a name of `ANALYSES`.
        model: the name that it was loaded by.
        weights: its fingerprint in this process.
        clips, out, **asked: as in `study.measure`.

    Raises:
        StudyError: no scheduler answers there, or its workers load the model with other weights; and what
            `study.measure` raises.
    """
    client, _ = _client(scheduler=os.environ[SCHEDULER])
    with client:
        if errors := _share_out(client, [analysis], model, clips, asked | {"out": _folder(out)}, weights):
            raise errors[0]


def _share_out(client, names, model, clips, asked, weights=None):
    """Has all parts measured that are not there, and gives the errors that this ended in."""
    import distributed

    wanted = client.cluster.worker_spec if client.cluster else client.scheduler_info(n_workers=-1)["workers"]
    n, errors = max(1, min(len(clips), SHARES * max(1, len(wanted)))), []
    shares = {}
    for i in range(n):
        share = asked | {"share": slice(i, None, n)}
        future = client.submit(_measured, Path.cwd(), names, model, clips, share, weights, pure=False)
        shares[future] = len(clips[i::n])
    title = f"{', '.join(names)}, {model}"
    try:
        with _survivors(), tqdm(total=len(clips), desc=title, unit="clip", disable=None) as bar:
            for done in distributed.as_completed(shares):
                errors += done.result()[1].values()
                bar.update(shares[done])
    finally:
        client.cancel([*shares])
    return errors


def _folder(out):
    return str((cache_folder() / "tables" if out is None else Path(out)).absolute())


@contextmanager
def _survivors():
    """Work that no worker survives ends in an error for people."""
    from distributed.scheduler import KilledWorker

    try:
        yield
    except KilledWorker as error:
        raise StudyError(
            "workers died again and again at the same work, perhaps for want of memory; what was measured is kept, use "
            "fewer workers or a larger machine"
        ) from error


def _measured(folder, names, model, clips, asked, weights=None):
    """On a worker: tables and errors of a share of the jobs, or with none named of all.

    Args:
        weights: the fingerprint that the model has to have; None for any.
    """
    os.chdir(folder)
    os.environ.pop(SCHEDULER, None)  # a worker asks nobody
    logging.getLogger("avnb").setLevel(logging.ERROR)  # whoever asked says what was left out
    load = _loader(model)
    if weights not in (None, model_fingerprint(load(model))):
        raise StudyError(
            f"{model} was changed after it was loaded, or workers load it in another precision "
            f"({load(model).hf.dtype} on {load(model).device}); name one, such as {model}@bfloat16"
        )
    return together.measure(names, load(model), clips, load=load, **asked)


@lru_cache(maxsize=1)
def _loader(model):
    """What loads models on this worker: each once, and only those that the measurements of one model need.

    A worker changes no model: for all shares its weights are read once.
    """
    return cache(lambda name: unchanging(models.load(name)))


def _here(n):
    """Workers on this machine, in turn on its GPUs."""
    from distributed import Nanny, Scheduler, SpecCluster

    gpus = _gpus()
    quiet = {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}

    def options(i):
        env = quiet | ({"CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)]} if gpus else {})
        return {"nthreads": 1, "memory_limit": 0, "env": env, "silence_logs": logging.WARNING}

    return SpecCluster(
        workers={i: {"cls": Nanny, "options": options(i)} for i in range(n)},
        scheduler={"cls": Scheduler, "options": {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}},
        silence_logs=logging.WARNING,
    )


def _gpus():
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name]
    return [str(i) for i in range(torch.cuda.device_count())]


def _slurm(n):
    """Workers as jobs of Slurm, each with one process; a job that ends early is asked for again."""
    import dask
    from dask_jobqueue import SLURMCluster

    if shutil.which("sbatch") is None:
        raise StudyError("there is no sbatch on this machine; call this where jobs of Slurm are submitted")
    settings = {"cores": 1, "processes": 1, "memory": "16GB", "log_directory": str(cache_folder() / "slurm")}
    settings = {key: value for key, value in settings.items() if not dask.config.get(f"jobqueue.slurm.{key}", None)}
    if "memory" in settings:  # what the worker is told; a job gets what Slurm gives where nothing is asked for
        settings["job_directives_skip"] = ["--mem"]
    started = SLURMCluster(**settings, python=sys.executable, worker_extra_args=["--memory-limit", "0"])
    tried = subprocess.run(["sbatch", "--test-only"], input=started.job_script(), capture_output=True, text=True)
    if tried.returncode:  # else it is refused where nobody sees it, and the first worker is waited for in vain
        started.close()
        raise StudyError(f"Slurm refuses the job of a worker: {' '.join(tried.stderr.split())}")
    started.scale(jobs=n)
    started.adapt(minimum_jobs=n, maximum_jobs=n)
    return started
