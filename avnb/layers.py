"""Layers of a decoder: spans, windows, and relative depth, by which decoders of different length are compared.

Spans are (start, stop), stop exclusive: the last layer of a decoder of 36 is in (0, 36), not in (0, 35).

>>> cumulative(4), windows(4, width=2)
([(0, 1), (0, 2), (0, 3), (0, 4)], [(0, 2), (1, 3), (2, 4)])
"""

import numpy as np


def relative_depth(n_layers):
    """Where the middle of each layer lies in a decoder, 0 its input and 1 its output, so that decoders can be compared.

    Example:
        >>> relative_depth(4).tolist()
        [0.125, 0.375, 0.625, 0.875]
    """
    return (np.arange(n_layers) + 0.5) / n_layers


def early_minus_late(curve, cut):
    """Mean over the layers before a relative depth minus mean over the others, of curves [..., n_layers].

    Example:
        >>> float(early_minus_late([0.5, 0.1, 0.1, 0.3], 1 / 4).round(3))
        0.333
    """
    curve = np.asarray(curve, dtype=float)
    early = relative_depth(curve.shape[-1]) < cut
    return curve[..., early].mean(-1) - curve[..., ~early].mean(-1)


def depth_layers(n_layers, depth):
    """The layers that begin in a part of a decoder, given in relative depth, end exclusive.

    Raises:
        ValueError: there is none.

    Example:
        >>> depth_layers(8, (0.5, 1)), len(depth_layers(36, (0.5, 1)))
        ([4, 5, 6, 7], 18)
    """
    start, stop = depth
    layers = [layer for layer in range(n_layers) if start <= layer / n_layers < stop]
    if not layers:
        raise ValueError(f"depth={tuple(depth)} holds none of {n_layers} layers; use 0 <= start < stop <= 1")
    return layers


def windows(n_layers, width, stride=1):
    """Spans of equal width, from the first layers to the last; the last one ends with the last layer in any case.

    Raises:
        ValueError: no such window fits into the layers.

    Example:
        >>> windows(8, width=3, stride=2)
        [(0, 3), (2, 5), (4, 7), (5, 8)]
    """
    if not (1 <= width <= n_layers and stride >= 1):
        raise ValueError(
            f"width={width}, stride={stride}: use a width of 1 to {n_layers} layers and a stride from 1 on"
        )
    starts = [*range(0, n_layers - width, stride), n_layers - width]
    return [(start, start + width) for start in starts]


def cumulative(n_layers, end="first", stride=1):
    """Spans that grow from one end of the decoder until they hold all layers, the shortest first.

    Args:
        n_layers: layers of the decoder.
        end: "first": all spans start with the first layer; "last": all end with the last one.
        stride: by how many layers they grow.

    Raises:
        ValueError: another end, or no stride.

    Example:
        >>> cumulative(5, "last", stride=2)
        [(3, 5), (1, 5), (0, 5)]
    """
    if end not in ("first", "last") or stride < 1:
        raise ValueError(f"end={end!r}, stride={stride}: use 'first' or 'last' and a stride from 1 on")
    sizes = [*range(stride, n_layers, stride), n_layers]
    return [(0, size) if end == "first" else (n_layers - size, n_layers) for size in sizes]


def ranges(indices):
    """Ascending indices as text.

    Example:
        >>> ranges([1, 2, 3, 7])
        '1-3,7'
    """
    spans = []
    for i in indices:
        if spans and i == spans[-1][1] + 1:
            spans[-1][1] = i
        else:
            spans.append([i, i])
    return ",".join(str(a) if a == z else f"{a}-{z}" for a, z in spans)
