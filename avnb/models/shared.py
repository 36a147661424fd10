"""What is done once for a clip, however many questions, conditions and analyses ask for it.

>>> model, clip = avnb.load("toy-omni"), avnb.datasets.load("toybox", n=2)[0]
>>> with shared():
...     model.prompt(clip, "Describe what you hear.") is model.prompt(clip, "Describe what you hear.")
True

Within a block of `shared` a model's encoders run once for the same pictures or the same sound, a prompt that was made
is given again, and the engine goes on from the prefill and the answers that it has (`engine.run_all`). All is dropped
at the end of the outermost block, which should hold the work of one clip.
"""

from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy

_KEPT = 4  # the last calls of an encoder: pictures, sound, the sound of another clip
_memory = ContextVar("memory", default=None)


class Memory:
    """What is remembered within a block.

    Attributes:
        prompts: by what they were made of, with the clip.
        encoded: by encoder, the last calls with what came out.
        engines: by model, what the engine remembers.
        put_off: by model, requests that the engine is to answer together; None if it answers them as they come.
    """

    def __init__(self):
        self.prompts, self.encoded, self.engines, self.put_off = {}, {}, {}, None


@contextmanager
def shared():
    """A block within which equal work on a clip is done once; a block within a block is part of it."""
    if (memory := _memory.get()) is not None:
        yield memory
        return
    token = _memory.set(Memory())
    try:
        yield _memory.get()
    finally:
        _memory.reset(token)


def current():
    """The `Memory` of the block that we are in; None outside of all."""
    return _memory.get()


@contextmanager
def encoders_once(hf, decoder):
    """Within the block an encoder that is called as before gives what it gave; nothing changes outside of `shared`."""
    memory = current()
    encoders = [] if memory is None else list(_encoders(hf, decoder))
    before = [encoder.__dict__.get("forward") for encoder in encoders]
    try:
        for encoder in encoders:
            encoder.forward = _remembering(encoder.forward, memory.encoded.setdefault(encoder, []))
        yield
    finally:
        for encoder, original in zip(encoders, before, strict=True):
            encoder.__dict__.pop("forward", None)
            if original is not None:
                encoder.forward = original


def same(one, other):
    """Whether two arguments of a call are equal, number for number.

    Example:
        >>> import torch
        >>> same({"a": [torch.ones(2), 1]}, {"a": [torch.ones(2), 1]}), same(torch.ones(2), torch.zeros(2))
        (True, False)
    """
    import torch

    if one is other:
        return True
    if isinstance(one, torch.Tensor):
        alike = isinstance(other, torch.Tensor) and (one.dtype, one.device) == (other.dtype, other.device)
        return alike and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        alike = type(one) is type(other) and len(one) == len(other)
        return alike and all(same(a, b) for a, b in zip(one, other, strict=True))
    return isinstance(one, str | int | float | bool | torch.dtype) and type(one) is type(other) and one == other


def _remembering(forward, calls):
    def once(*args, **kwargs):
        for arguments, output in calls:
            if same(arguments, (args, kwargs)):
                return copy(output)
        output = forward(*args, **kwargs)
        calls[:] = [*calls, ((args, kwargs), copy(output))][-_KEPT:]  # models write into what they get
        return output

    return once


def _encoders(module, decoder):
    """The largest parts of a model that are called as one, and neither hold its decoder nor belong to it."""
    import torch

    for child in module.children():
        if decoder in child.modules() or isinstance(child, torch.nn.ModuleList | torch.nn.ModuleDict):
            if child is not decoder:
                yield from _encoders(child, decoder)
        else:
            yield child
