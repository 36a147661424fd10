"""Many workers on one table: each measures shares of the jobs and leaves their parts on disk.

    with measuring(workers=8) as measure:
        table = measure("fidelity", "toy-omni", clips, dataset="toybox")

The engine is Dask (the extra `cluster`). A worker is a process with one thread, a GPU of its own where there are any,
and one model, which it loads once. All of them, and whoever asks, see the same files under the same paths. Since a part
is a file for each job, a worker that is lost costs the job it was at: its share is given to another one, which finds
the rest done. The same holds for an interrupted call.
"""

import logging
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from functools import cache, lru_cache, partial
from pathlib import Path

from tqdm import tqdm

from avnb import models, study
from avnb.files import cache_folder
from avnb.study.tables import StudyError

_SHARES = 4  # for each worker: they end at different times, and what is left is shared out again

logger = logging.getLogger(__name__)


@contextmanager
def measuring(workers=None, scheduler=None, cluster=None):
    """`study.measure`, on workers if any are asked for; see `connected` for how, and for what may fail."""
    if workers is None and scheduler is None and cluster is None:
        yield study.measure
    else:
        with connected(workers, scheduler, cluster) as client:
            yield partial(measure, client)


@contextmanager
def mapping(workers=None, scheduler=None, cluster=None):
    """`map`, on workers if any are asked for: then results come as they are ready."""
    if workers is None and scheduler is None and cluster is None:
        yield map
    else:
        with connected(workers, scheduler, cluster) as client:
            yield partial(mapped, client)


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
    try:
        import distributed

        if cluster:
            import dask_jobqueue  # noqa: F401
    except ModuleNotFoundError as error:
        raise StudyError(f'workers need {error.name}; install it with: pip install "avnb[cluster]"') from error
    try:
        if scheduler is not None:
            client = distributed.Client(scheduler)
        else:
            started = _slurm(workers or 1) if cluster else _here(workers or 1)
            client = distributed.Client(started)
    except (OSError, ValueError) as error:  # the second, if it is no address
        asked = f"the scheduler {scheduler} does not answer" if scheduler else "no workers could be started"
        raise StudyError(f"{asked}: {error}") from error
    try:
        logger.warning("workers can be watched at %s", client.dashboard_link)
        yield client
    finally:
        client.close()
        if scheduler is None:
            logging.getLogger("distributed").setLevel(logging.ERROR)  # that workers end is no news now
            started.close()


def measure(client, analysis, model, clips, *, dataset, seed=0, out=None, retry=False, **options):
    """As `study.measure`, with the jobs shared out to workers.

    Args:
        client: from `connected`.
        model: the name of a model, which the workers load.
        analysis, clips, dataset, seed, out, retry, **options: as in `study.measure`.

    Raises:
        StudyError: workers died again and again at the same share; and what `study.measure` raises.
    """
    import distributed

    clips = list(clips)
    folder = (cache_folder() / "tables" if out is None else Path(out)).absolute()
    asked = {"dataset": dataset, "seed": seed, "out": str(folder), "retry": retry, **options}
    wanted = client.cluster.worker_spec if client.cluster else client.scheduler_info(n_workers=-1)["workers"]
    n = max(1, min(len(clips), _SHARES * max(1, len(wanted))))

    def submitted(**share):
        return client.submit(_measured, Path.cwd(), analysis, model, clips, asked | share, pure=False)

    shares = {submitted(share=slice(i, None, n)): len(clips[i::n]) for i in range(n)}
    try:
        with _survivors(), tqdm(total=len(clips), desc=f"{analysis}, {model}", unit="clip", disable=None) as bar:
            for done in distributed.as_completed(shares):
                done.result()
                bar.update(shares[done])
            table = submitted().result()
    finally:
        client.cancel([*shares])
    for clip, reason in table.attrs["left_out"].items():
        logger.warning("left out clip %s: %s", clip, reason)
    return table


def mapped(client, function, values):
    """Results of a function, called on workers with each of the values; they come as they are ready."""
    import distributed

    futures = [client.submit(_called, Path.cwd(), function, value, pure=False) for value in values]
    with _survivors():
        yield from (result for _, result in distributed.as_completed(futures, with_results=True))


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


def _called(folder, function, value):
    os.chdir(folder)
    return function(value)


def _measured(folder, analysis, model, clips, asked):
    """On a worker: a share of the rows, or with none named the table."""
    os.chdir(folder)
    logging.getLogger("avnb").setLevel(logging.ERROR)  # whoever asked says what was left out
    load = _loader(model)
    return study.measure(analysis, load(model), clips, load=load, **asked)


@lru_cache(maxsize=1)
def _loader(model):
    """What loads models on this worker: each once, and only those that the measurements of one model need."""
    return cache(models.load)


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
