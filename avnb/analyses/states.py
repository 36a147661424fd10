"""What residual streams would say: the states of a prompt after some layers, read through final norm and unembedding.

Logits exist for a chunk of rows at a time, so that next to the states (layers x positions x width) only what is kept of
them is held.
"""

import torch

from avnb.engine import run
from avnb.engine.capture import Capture
from avnb.engine.conditions import Condition
from avnb.models.prompt import PromptError

MAX_LOGITS = 2**24  # in one chunk


def scan(model, prompt, group, normed, layers, reduce, answer="", cut=None):
    """What `reduce` keeps of the logits, for all layers and positions of a group.

    Args:
        model, prompt, group, normed, layers, answer, cut: as in `lens.decode`.
        reduce: a function from logits [rows, vocabulary] to a tuple of tensors [rows, ...].

    Returns:
        Layers, positions int64 [n_positions] in ascending order, and an array [n_layers, n_positions, ...] for each of
        the tensors.

    Raises:
        PromptError, ValueError: as in `lens.decode`.

    Example:
        >>> model = avnb.load("toy-omni")
        >>> prompt = model.prompt(avnb.datasets.load("toybox", n=2)[0], "Describe what you hear.")
        >>> layers, positions, (highest,) = scan(model, prompt, "audio", True, [0, 7], lambda logits: (logits.amax(1),))
        >>> highest.shape == (2, len(positions), 1)
        True
    """
    n_layers = len(model.decoder.layers)
    layers = sorted(set(range(n_layers) if layers is None else map(int, layers)))
    if not layers:
        raise ValueError(f"layers is empty; the decoder has layers 0 to {n_layers - 1}")
    norm = getattr(model.decoder, "norm", None) if normed else torch.nn.Identity()
    if norm is None:
        raise ValueError(f"{type(model.decoder).__name__} has no final norm called `norm`; use normed=False")
    positions, hidden = _hidden(model, prompt, group, layers, answer, cut)
    n_rows = max(1, MAX_LOGITS // model.decoder.config.vocab_size)
    with torch.inference_mode():
        # The norm works row by row, so a chunk may span layers.
        chunks = hidden.flatten(0, 1).split(n_rows)
        kept = [reduce(model.head(norm(rows.to(prompt.embeds.device))).float()) for rows in chunks]
    shape = len(layers), len(positions)
    return layers, positions, [torch.cat(parts).cpu().numpy().reshape(*shape, -1) for parts in zip(*kept, strict=True)]


def best_of(spellings, most=None):
    """A `reduce` of `scan`: of each list of token ids, the rank of the best one and which it is.

    Args:
        spellings: lists of token ids.
        most: ranks beyond it are not told apart, which spares the sorting of a whole vocabulary.
    """

    def best(logits):
        values, tokens = [], []
        for ids in spellings:
            ids = torch.as_tensor(ids, device=logits.device)
            value, which = logits[:, ids].max(1)
            values.append(value)
            tokens.append(ids[which])
        values, tokens = torch.stack(values, 1), torch.stack(tokens, 1)
        if most is not None:
            best = logits.topk(min(most, logits.shape[1])).values
            return 1 + (best[:, None] > values[..., None]).sum(-1), tokens
        ascending = logits.sort(1).values  # one sort, however many words there are
        return 1 + logits.shape[1] - torch.searchsorted(ascending, values, right=True), tokens

    return best


def _hidden(model, prompt, group, layers, answer, cut):
    """Positions int64 [n] of a group, ascending, and the residual stream [n_layers, n, width] there."""
    parts = group.split("+")
    for part in parts:
        if len(prompt.segments.positions(part)) == 0:
            raise PromptError(f"{prompt.clip_id or 'prompt'}: the lens needs {part} positions, and the prompt has none")
    conditions = [Condition.block(*cut) if cut else Condition()]
    if not answer or "last" not in parts:
        capture = Capture(hidden=group, layers=layers)
        out = run(model, prompt, conditions, max_new_tokens=0, capture=capture)[0]
        return out.hidden_positions, out.hidden
    capture = Capture(hidden="+".join(["generated", *(part for part in parts if part != "last")]), layers=layers)
    # The last token of a forced answer is never fed, so one follows whose choice is of no account.
    tokens = [*model.tokenizer(answer, add_special_tokens=False)["input_ids"], min(model.stop_ids, default=0)]
    out = run(model, prompt, conditions, forced=tokens, capture=capture)[0]
    positions = out.hidden_positions
    kept = (positions < len(prompt)) | (positions == positions.max())
    return positions[kept], out.hidden[:, kept]
