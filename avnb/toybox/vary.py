"""Reproducible variation whose values never repeat across the train, validation and test splits.

The range of every continuous parameter is cut into slices, and every slice belongs to one split only. So a hue, a
pitch or a place in a test clip was never drawn for training, while all splits still cover the whole range.

    >>> a, b = Variation("test", seed=1), Variation("test", seed=1)
    >>> a.uniform(0, 1) == b.uniform(0, 1)
    True
"""

import numpy as np

N_SLICES = 40
_SLICES = {  # the remainder of a slice's index by 5 decides its split
    "train": (0, 2, 4),
    "validation": (1,),
    "test": (3,),
}
SPLITS = tuple(_SLICES)


class Variation:
    """Draws parameters for one clip.

    Args:
        split: "train", "validation" or "test".
        seed: any integer or sequence of integers; the same split and seed give the same draws in the same order.

    Raises:
        ValueError: the split has another name.
    """

    def __init__(self, split, seed):
        if split not in _SLICES:
            raise ValueError(f"split {split!r} is unknown; use one of {', '.join(SPLITS)}")
        self.split = split
        self._slices = [i for i in range(N_SLICES) if i % 5 in _SLICES[split]]
        seed = np.atleast_1d(seed)  # its length is part of the seed: NumPy takes (1, 0) for (1,)
        self.rng = np.random.default_rng([SPLITS.index(split), len(seed), *seed])

    def uniform(self, low, high):
        """A float in [low, high), from the slices of this split only: for whatever shapes a picture or a sound."""
        slice_ = self._slices[self.rng.integers(len(self._slices))]
        return float(low + (high - low) * (slice_ + self.rng.random()) / N_SLICES)

    def integer(self, low, high):
        """An integer in [low, high), shared by all splits: for counts."""
        return int(self.rng.integers(low, high))

    def choice(self, options):
        """One of the options, shared by all splits: for kinds (a background, a direction)."""
        return options[self.rng.integers(len(options))]

    def chance(self, probability):
        """True with this probability."""
        return bool(self.rng.random() < probability)
