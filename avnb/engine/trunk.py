"""The trunk of a clip's prompts: what they all begin with, up to the last position of the media, run once.

In a chat prompt the media come before the question, so that the keys and values of all positions up to there are the
same for every question. A trunk is found again by what went into it, number for number.
"""

from avnb.models.shared import same

_KEPT = 4  # of a clip: with both modalities, with either, with the sound of another clip


class Trunk:
    """The beginning of prompts: what the decoder is given of it, and what became of that.

    Attributes:
        inputs: of the decoder, for these positions.
        layers, first: residual streams that are wanted: those that enter these layers, from this position on.
        keys, values, read_from: as a `BranchCache` and a `Server` have them after the prefill; empty before.
        streams: by layer, [1, positions from `first` on, width].
    """

    def __init__(self, inputs):
        self.inputs = inputs
        self.n_positions = inputs["inputs_embeds"].shape[1]
        self.layers, self.first = set(), self.n_positions
        self.keys, self.values, self.read_from, self.streams = {}, {}, {}, {}

    def expect(self, layers, first):
        """More streams are wanted; those that were not kept cost another prefill."""
        if layers and not (layers <= self.layers and first >= self.first):
            self.layers, self.first = self.layers | layers, min(first, self.first)
            self.keys = {}

    def grow(self, call, server):
        """The prefill, if there was none; `server` is that of the prompt which needs it."""
        if self.keys:
            return

        def keep(layer, hidden):
            if layer in self.layers:
                self.streams[layer] = hidden[:, self.first :].clone()
            return hidden

        cache = server.cache
        call([(server, 1)], keep if self.layers else None, **self.inputs)
        self.keys, self.values, self.read_from = dict(cache.keys), dict(cache.values), dict(server.read_from)


class Trunks:
    """The trunks of a clip, the one that was asked for last behind the others."""

    def __init__(self):
        self._known = []

    def of(self, inputs):
        """The trunk of these inputs of a decoder."""
        trunk = next((one for one in self._known if same(one.inputs, inputs)), None) or Trunk(inputs)
        self._known = [*(one for one in self._known if one is not trunk), trunk][-_KEPT:]
        return trunk
