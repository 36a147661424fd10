"""The training data of the organisms: a pool of toybox clips on disk.

A pool holds every clip's picture and sound as the processor takes them (arrays, not video files), so that pictures and
sounds can be paired anew in every batch. Building it resumes where it was interrupted.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from avnb.organisms.omni import N_CELLS
from avnb.toybox import world
from avnb.toybox.sources import SOURCES

TIMES = np.arange(0, world.SECONDS, 1.0)  # seconds: one frame a second, as an organism samples a clip
_BLOCK = 250


class Pool:
    """`n` clips of a split; arrays are read when they are first used.

    Attributes:
        examples: the `world.Example` of every clip.
        frames: uint8 [n, 4, 160, 160, 3].
        waves: int16 [n, 64000].
        cells: int64 [n, 5, 5]: the index in `SOURCES` of what is drawn where, len(SOURCES) for the background; one cell
            for each position of a frame in a prompt.
    """

    def __init__(self, folder, split, n, seed=0, workers=2):
        self.examples = [world.sample(split, seed, i) for i in range(n)]
        spans = [(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK)]
        blocks = [(Path(folder) / f"{split}-{seed}-{a:06d}-{b:06d}.npz", split, seed, a, b) for a, b in spans]
        missing = [block for block in blocks if not block[0].exists()]
        if missing:
            # Not forked: a child that frees a video of its parent waits for ever for the threads that decoded it.
            context = get_context("spawn")
            with ProcessPoolExecutor(workers, context, initializer=threadpool_limits, initargs=(1,)) as executor:
                list(tqdm(executor.map(_write_block, missing), total=len(missing), desc=f"drawing {split} clips"))
        self._files = [path for path, *_ in blocks]

    def __len__(self):
        return len(self.examples)

    @cached_property
    def frames(self):
        return np.concatenate([np.load(file)["frames"] for file in self._files])

    @cached_property
    def waves(self):
        return np.concatenate([np.load(file)["waves"] for file in self._files])

    @cached_property
    def cells(self):
        return np.stack([_cells(example) for example in self.examples])


def _cells(example):
    index = {name: i for i, name in enumerate(SOURCES)}
    return np.array([[index.get(name, len(SOURCES)) for name in row] for row in example.scene.cells(N_CELLS)])


def _write_block(block):
    path, split, seed, start, stop = block
    examples = [world.sample(split, seed, i) for i in range(start, stop)]
    frames = np.stack([example.frames(TIMES) for example in examples])
    waves = np.stack([np.round(example.wave() * 32767).astype(np.int16) for example in examples])
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.npz")  # several trainings may share the folder
    np.savez(partial, frames=frames, waves=waves)
    partial.rename(path)
