"""Does a model that was just loaded do what every measurement takes for granted? The facts behind `avnb check`.

>>> found = examine(avnb.load("toy-omni"))
>>> found.groupby("status")["check"].agg(list).to_dict()
{'n/a': ['golden values'], 'passed': ['keys', 'placeholders', 'segments', 'positions', 'attention', 'cut', 'lens',
 'engine']}

Every check asks the model itself, not the code that is checked: its own `generate`, and what changes in the decoder's
input when other pictures or another sound of the same length are shown.
"""

from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch

from avnb import datasets
from avnb.analyses import lens
from avnb.engine import Capture, Condition, EngineError, run
from avnb.errors import AvnbError, InapplicableError
from avnb.media import editing
from avnb.media.clip import Clip
from avnb.models import asked
from avnb.questions import HEAR

# What is known of published weights, with the clip 02321.mp4 and another prompt, so that orders of magnitude compare:
# attention of the answer's tokens in layer 0, mean over heads, and how many different words the lens reads at the 248
# audio positions after layer 34, as a share of them.
GOLDEN = {
    "Qwen/Qwen2.5-Omni-3B": {
        "attention to video": 0.0094,
        "attention to audio": 0.0492,
        "attention to query": 0.0694,
        "attention to generated": 0.872,
        "distinct words of the lens": 6 / 248,
    }
}
_GOLDEN_LAYER = 34
_GOLDEN_SECONDS = 10
_FACTOR = 10  # an order of magnitude
_N_TOKENS = 12
_RATE = 16_000
_FPS = 8
_NEAR = {torch.float32: 1e-3, torch.float16: 0.05, torch.bfloat16: 0.3}  # nats, between two orders of the same sums


class _FailedError(AvnbError):
    """A check did not find what it must find."""


def examine(model, clip=None) -> pd.DataFrame:
    """Checks a model on one clip.

    Args:
        model: an AVLLM from `avnb.load`.
        clip: a clip with sound; None draws one.

    Returns:
        DataFrame: check, status ("passed", "failed" or "n/a"), found (what was seen, in words).

    Raises:
        ClipError: the clip cannot be read.
    """
    rows = []
    with TemporaryDirectory() as folder:
        subject = _Subject(model, datasets.load("toybox", n=1)[0] if clip is None else clip, Path(folder))
        for name, check in CHECKS.items():
            try:
                row = {"check": name, "status": "passed", "found": check(subject)}
            except InapplicableError as error:
                row = {"check": name, "status": "n/a", "found": str(error)}
            except _FailedError as error:
                row = {"check": name, "status": "failed", "found": str(error)}
            except Exception as error:  # whatever a check runs into is what it finds
                row = {"check": name, "status": "failed", "found": f"{type(error).__name__}: {error}"}
            row["found"] = " ".join(row["found"].split())
            rows.append(row)
    return pd.DataFrame(rows)


class _Subject:
    """A model, the clip with its pictures or its sound replaced, and what several checks look at."""

    def __init__(self, model, clip, folder):
        self.model, self.folder = model, folder
        self.near = _NEAR.get(model.hf.dtype, max(_NEAR.values()))
        self.frames = clip.frames(fps=_FPS)[0]
        self.wave = clip.wave(_RATE) if model.hears else None

    def clip(self, name, frames, wave):
        path = editing.write(self.folder / f"{name}.mp4", frames, _FPS, wave, _RATE)
        return Clip(name, path, kind="factual" if wave is not None else "mute")

    def shown(self, name, frames, wave):
        return self.model.prompt(self.clip(name, frames, wave), HEAR)

    @cached_property
    def prompt(self):
        return self.shown("clip", self.frames, self.wave)

    @cached_property
    def positions(self):
        """Prompt positions by kind of media, for the kinds that must be there."""
        segments = self.prompt.segments
        found = {"video": segments.positions("video")}
        if self.wave is not None:
            found["audio"] = segments.positions("audio")
        for kind, positions in found.items():
            if len(positions) == 0:
                raise _FailedError(f"the prompt has no {kind} position, though {kind} was shown")
        return found

    @cached_property
    def others(self):
        """Prompts that differ in one kind of media."""
        found = {"video": self.shown("pictures", 255 - self.frames, self.wave)}
        if self.wave is not None:
            found["audio"] = self.shown("sound", self.frames, self.wave[::-1].copy())
        return found

    @cached_property
    def generated(self):
        """What `generate` tells its decoder (position ids, call by call) and takes from its head (most probable)."""
        positions, tokens = [], []

        def told(module, args, kwargs):
            positions.append(kwargs.get("position_ids"))

        def said(module, args, logits):
            tokens.append(int(logits[0, -1].argmax()))

        handles = [
            self.model.decoder.register_forward_pre_hook(told, with_kwargs=True),
            self.model.hf.get_output_embeddings().register_forward_hook(said),
        ]
        try:
            self.model.caption(self.clip("again", self.frames, self.wave), HEAR, max_new_tokens=_N_TOKENS)
        finally:
            for handle in handles:
                handle.remove()
        return positions, tokens

    @cached_property
    def baseline(self):
        return run(self.model, self.prompt, max_new_tokens=_N_TOKENS, capture=Capture(shares="fine", logits=True))[0]


def _keys(subject):
    """Every weight came from the checkpoint, and is a number."""
    unused = subject.model.unused
    if unused is None:
        raise InapplicableError("the model came from memory, not from a checkpoint")
    weights = list(subject.model.hf.named_parameters())
    for name, weight in weights:
        if weight.is_meta or (weight.is_floating_point() and not torch.isfinite(weight).all()):
            raise _FailedError(f"{name} holds no numbers")
    extra = f"; {len(unused)} in the checkpoint have no place, e.g. {unused[0]}" if unused else ""
    return f"{len(weights)} weights, none missing{extra}"


def _placeholders(subject):
    """Each kind of media has an id of its own, stands in the prompt, and was replaced by what was seen or heard."""
    model, prompt = subject.model, subject.prompt
    found = []
    embed = model.decoder.get_input_embeddings()
    ids = {kind: prompt.token_ids[positions] for kind, positions in subject.positions.items()}
    if "audio" in ids and set(ids["audio"]) & set(ids["video"]):
        raise _FailedError(f"pictures and sound share the placeholder {set(ids['audio']) & set(ids['video'])}")
    for kind, positions in subject.positions.items():
        known = torch.as_tensor(np.minimum(ids[kind], embed.num_embeddings - 1), device=embed.weight.device)
        media = prompt.embeds[0, torch.as_tensor(positions, device=prompt.embeds.device)]
        same = (media == embed(known).to(media)).all(-1).float().mean().item()
        if same:
            raise _FailedError(f"{same:.0%} of the {kind} positions hold the placeholder and nothing of the clip")
        found.append(f"{len(positions)} {kind}")
    return f"{' and '.join(found)} positions of {len(prompt)}, all filled"


def _segments(subject):
    """Other pictures change the input at video positions alone, another sound at audio positions alone."""
    prompt = subject.prompt
    query = prompt.token_ids[prompt.segments.positions("query")]
    if HEAR not in (spelled := subject.model.tokenizer.decode(query)):
        raise _FailedError(f"the positions of the question spell {spelled!r}")
    if prompt.segments.positions("last").tolist() != [len(prompt) - 1]:
        raise _FailedError("the last position is not typed so")
    for kind, other in subject.others.items():
        if not np.array_equal(other.token_ids, prompt.token_ids):
            raise _FailedError(f"with other {kind} of the same length the prompt has other tokens")
        changed = torch.nonzero((other.embeds != prompt.embeds)[0].any(-1))[:, 0].cpu().numpy()
        positions = subject.positions[kind]
        if len(outside := np.setdiff1d(changed, positions)):
            raise _FailedError(f"other {kind} changes {len(outside)} positions that are not {kind}, e.g. {outside[0]}")
        if not len(changed):
            raise _FailedError(f"other {kind} changes none of the {len(positions)} {kind} positions")
    return f"the question is found; {' and '.join(subject.others)} change their own positions alone"


def _positions(subject):
    """The decoder is told the position ids that `generate` tells it, and seconds that are seen and heard together."""
    prompt, ours = subject.prompt, subject.prompt.position_ids.cpu()
    first, *later = subject.generated[0]
    counted = torch.arange(len(prompt))[None]
    if not torch.equal(_axes(counted if first is None else first, ours), ours):
        raise _FailedError("`generate` gives its decoder other position ids")
    if later and later[0] is not None and not torch.equal(_axes(later[0], ours), ours[..., -1:] + 1):
        raise _FailedError(f"`generate` puts its first token at {later[0].max()}, not at {ours[..., -1].max() + 1}")
    time = ours.reshape(-1, len(prompt))[-3] if ours.dim() > 2 else None
    if time is not None and "audio" in subject.positions:
        video, audio = (subject.positions[kind] for kind in ("video", "audio"))
        between = min(video[0], audio[0]) < max(video[0], audio[0]) < min(video[-1], audio[-1])
        if between and abs(int(time[video[0]]) - int(time[audio[0]])) > 1:
            raise _FailedError(
                f"pictures and sound are interleaved, but begin at {int(time[video[0]])} and {int(time[audio[0]])}: "
                "the model was not told that they belong together"
            )
    return f"{ours.shape[0] if ours.dim() > 2 else 1} axes, as `generate` has them"


def _axes(positions, like):
    """Position ids without the axis of the text, which `generate` puts before those of time, height and width."""
    return positions.cpu()[-like.shape[0] :]


def _attention(subject):
    """The attention of every row, in every layer and head, sums to one."""
    off = np.abs(subject.baseline.shares.sum(-1) - 1).max()
    if not off <= (1e-3 if subject.model.hf.dtype == torch.float32 else 2e-2):
        raise _FailedError(f"a row sums to {1 + off:.3g} or {1 - off:.3g}")
    return f"rows sum to 1 within {off:.1g}, in {subject.baseline.shares.shape[1]} layers"


def _cut(subject):
    """A blocked modality gets no attention, where it got some."""
    kinds = list(subject.positions)
    conditions = [Condition.block("last+generated", kind) for kind in kinds]
    runs = run(subject.model, subject.prompt, conditions, _N_TOKENS, capture=Capture(shares="fine"))
    for kind, cut in zip(kinds, runs, strict=True):
        before, after = (one.shares[..., one.groups.index(kind)].max() for one in (subject.baseline, cut))
        if not before > 0:
            raise _FailedError(f"no row looks at {kind}, in any layer or head")
        if after != 0:
            raise _FailedError(f"a row whose attention to {kind} is blocked gives {after:.2g} to it")
    return f"no mass on blocked {' or '.join(kinds)}"


def _lens(subject):
    """After the last layer, the logit lens reads what the model says."""
    last = len(subject.model.decoder.layers) - 1
    try:
        read = lens.decode(subject.model, subject.prompt, "last", top_k=1, layers=[last]).iloc[0]
    except EngineError as error:  # several streams instead of one
        raise InapplicableError(str(error)) from error
    said = torch.as_tensor(subject.baseline.logits[0]).log_softmax(-1)
    off = abs(np.log(read["probability"]) - said[int(read["token_id"])].item())
    if not max(off, (said.max() - said[int(read["token_id"])]).item()) <= subject.near:
        raise _FailedError(f"the lens reads {read['token']!r} where the model says another word; off by {off:.2g} nats")
    return f"{read['token']!r} both, within {off:.1g} nats"


def _engine(subject):
    """The engine answers as `generate` does, token for token, but where two words are equally probable."""
    ours, theirs = subject.baseline.token_ids.tolist(), subject.generated[1]
    n = min(len(ours), len(theirs))
    step = next((i for i in range(n) if ours[i] != theirs[i]), None)
    if step is None:
        if len(ours) != len(theirs):
            raise _FailedError(f"the engine says {len(ours)} tokens, `generate` {len(theirs)}")
        return f"{n} tokens, the same"
    scores = subject.baseline.logits[step]
    gap = float(scores[ours[step]] - scores[theirs[step]])
    if not gap <= subject.near:
        raise _FailedError(f"token {step} differs from that of `generate`, which is {gap:.2g} nats less probable")
    return f"{step} tokens, the same; then two words within {gap:.1g} nats"


def _golden(subject):
    """Published weights: numbers that somebody else measured, in order of magnitude."""
    model = subject.model
    known = GOLDEN.get(asked.read(model.name).name)
    if known is None:
        raise InapplicableError("none are known for this model")
    n_times = -(-_GOLDEN_SECONDS * _FPS // len(subject.frames))
    frames = np.tile(subject.frames, (n_times, 1, 1, 1))[: _GOLDEN_SECONDS * _FPS]
    prompt = subject.shown("long", frames, np.tile(subject.wave, n_times)[: _GOLDEN_SECONDS * _RATE])
    answer = run(model, prompt, max_new_tokens=_N_TOKENS, capture=Capture(shares="fine"))[0]
    rows = answer.shares[1:, 0].mean((0, 1))  # of the answer's own tokens, in the first layer
    found = {f"attention to {group}": float(rows[i]) for i, group in enumerate(answer.groups)}
    layer = min(_GOLDEN_LAYER, len(model.decoder.layers) - 1)
    read = lens.decode(model, prompt, "audio", top_k=1, layers=[layer])
    found["distinct words of the lens"] = read["token_id"].nunique() / len(read)
    wrong = [
        f"{name} is {found[name]:.2g}, {value:.2g} is known"
        for name, value in known.items()
        if not value / _FACTOR <= found[name] <= value * _FACTOR
    ]
    if wrong:
        raise _FailedError("; ".join(wrong))
    return f"{len(known)} numbers within a factor of {_FACTOR}"


CHECKS = {
    "keys": _keys,
    "placeholders": _placeholders,
    "segments": _segments,
    "positions": _positions,
    "attention": _attention,
    "cut": _cut,
    "lens": _lens,
    "engine": _engine,
    "golden values": _golden,
}
