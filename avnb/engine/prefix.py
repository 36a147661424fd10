"""Attention of many branches over one prefix whose keys and values are stored once.

Branch b with query q sees the shared keys K and its own keys K_b: softmax([q K^T, q K_b^T]) [V; V_b]. The first product
is one matrix product per key-value head for all branches together; only K_b and V_b exist per branch.

This module is the part that sits inside a transformers decoder: an attention function and a mask function registered by
name, and a cache. `served` switches a decoder to them and back.
"""

import threading
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import Cache
from transformers.masking_utils import causal_mask_function, sdpa_mask

from avnb.errors import AvnbError

NAME = "avnb_branches"
# Cells of a score matrix at a time; longer row ranges are computed in pieces. On a CPU pieces that fit into its caches
# are three times as fast as 2**25, which a GPU keeps: there every piece costs launches, and nothing was measured.
MAX_SCORES = 2**21
_ON_GPU = 16  # times as many

_lock = threading.RLock()  # a decoder is switched as a whole, so that one run at a time can be served
_serving = []


class EngineError(AvnbError):
    """A decoder cannot be served; says why."""


class BranchCache(Cache):
    """Keys and values of a prompt, stored once, and of every branch from its first own position on.

    Attributes:
        keys, values: by layer, [n_kv_heads, T, head width].
        n_shared: prompt positions that all branches share.
        n_own: positions that each branch holds itself, so far.
    """

    def __init__(self):
        super().__init__(layers=[])
        self.keys, self.values = {}, {}
        self.own_keys, self.own_values = {}, {}
        self.n_shared = self.n_own = 0
        self.in_prefill = True
        self.arrived = {}

    def get_seq_length(self, layer_idx=0):
        return self.n_shared + self.n_own

    def get_mask_sizes(self, query_length, layer_idx):
        return self.get_seq_length() + query_length, 0

    def update(self, key_states, value_states, layer_idx, *args, **kwargs):
        """Stores new rows and hands them back unchanged; the attention function adds the ones before."""
        self.arrived[layer_idx] = key_states
        if self.in_prefill:
            self.keys[layer_idx] = key_states[0].contiguous()
            self.values[layer_idx] = value_states[0].contiguous()
        else:
            n, rows = key_states.shape[0], slice(self.n_own, self.n_own + key_states.shape[2])
            self.own_keys[layer_idx][:n, :, rows] = key_states
            self.own_values[layer_idx][:n, :, rows] = value_states
        return key_states, value_states

    def stand_on(self, keys, values, n_more):
        """Goes on from the keys and values of a prompt's beginning, with room for `n_more` positions after it."""
        self.keys, self.values = dict(keys), dict(values)
        self.open(1, next(iter(keys.values())).shape[1], n_more)

    def settle(self):
        """What one branch added becomes part of the prompt, as if all of it had been one prefill."""
        for prompt, own in ((self.keys, self.own_keys), (self.values, self.own_values)):
            for layer, states in own.items():
                prompt[layer] = torch.cat([prompt[layer], states[0]], dim=1)
        self.close()

    def open(self, n_branches, n_shared, n_more):
        """Room for the branches: prompt positions from `n_shared` on, as in the prefill, and `n_more` after them."""
        self.in_prefill, self.n_shared, self.n_own = False, n_shared, 0
        for prompt, own in ((self.keys, self.own_keys), (self.values, self.own_values)):
            own.clear()
            for layer, states in prompt.items():
                n_kv, n_prompt, width = states.shape
                own[layer] = states.new_empty(n_branches, n_kv, n_prompt - n_shared + n_more, width)
                own[layer][:, :, : n_prompt - n_shared] = states[:, n_shared:]

    def select(self, kept):
        """Keep some of the branches, by index."""
        for own in (self.own_keys, self.own_values):
            for layer, states in own.items():
                own[layer] = states[torch.as_tensor(kept, device=states.device)]

    def close(self):
        self.own_keys.clear()
        self.own_values.clear()


class Server:
    """What the attention function does while a decoder is served.

    Attributes:
        read_from: by layer, the one whose keys it reads; known after a prefill.
        masks: the `KeyMasks` of the branches, None during prefill.
        branches: the conditions' numbers, for the recorder; None while they are all one.
    """

    def __init__(self, cache, base, recorder):
        self.cache, self.base, self.recorder = cache, base, recorder
        self.masks = self.branches = None
        self.read_from = {}

    def mask(self, *args, **kwargs):
        """The decoder's own mask, over all keys and the same for every branch; None where it is just causal."""
        if self.cache.in_prefill:
            return AttentionMaskInterface()[self.base](*args, **kwargs)
        if kwargs.get("mask_function") is causal_mask_function:
            return None
        n_before = self.cache.get_seq_length()
        kwargs |= {"batch_size": 1, "q_offset": n_before, "kv_length": n_before + kwargs["q_length"]}
        return sdpa_mask(*args, **kwargs | {"allow_is_causal_skip": False})

    def attention(self, module, query, key, value, attention_mask, **kwargs):
        layer = getattr(module, "layer_idx", None)
        if layer is None:
            raise EngineError(f"{type(module).__name__} does not know its layer's index (layer_idx)")
        for name in ("s_aux", "position_bias"):
            if kwargs.get(name) is not None:
                raise EngineError(f"{type(module).__name__} uses {name}, which the engine does not compute")
        scaling, softcap = kwargs.get("scaling"), kwargs.get("softcap")
        scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
        if self.cache.in_prefill:
            return self._prefill(layer, module, query, key, value, attention_mask, scaling, softcap, kwargs), None
        cache, source = self.cache, self.read_from[layer]
        n, rows = query.shape[0], query.shape[2]
        stop = cache.n_own + rows
        output = self._attend(
            layer,
            query,
            [x[:, : cache.n_shared].to(query.device) for x in (cache.keys[source], cache.values[source])],
            [x[:n, :, :stop].to(query.device) for x in (cache.own_keys[source], cache.own_values[source])],
            scaling,
            softcap,
            attention_mask,
        )
        return output, None

    def _prefill(self, layer, module, query, key, value, attention_mask, scaling, softcap, kwargs):
        source = layer if self.cache.arrived.get(layer) is key else None
        if source is None:
            source = next((i for i, arrived in self.cache.arrived.items() if arrived is key), None)
        if source is None:
            raise EngineError(f"layer {layer} of {type(module).__name__} attends to keys that no cache holds")
        self.read_from[layer] = source
        own = [x[source][None] for x in (self.cache.keys, self.cache.values)]
        if softcap is not None:
            return self._attend(layer, query, None, own, scaling, softcap, attention_mask)
        if self.recorder.wants_weights:
            last = None if attention_mask is None else attention_mask[:, :, -1:]
            self._attend(layer, query[:, :, -1:], None, own, scaling, softcap, last)
        base = AttentionInterface()[self.base]
        return base(module, query, key, value, attention_mask, **kwargs)[0]

    def _attend(self, layer, query, shared, own, scaling, softcap, visible):
        """Attention [n, rows, heads, width] of queries [n, heads, rows, width] over shared and own keys, row by row."""
        n, n_heads, n_rows, _ = query.shape
        n_kv, n_own = own[0].shape[1:3]
        n_keys = n_own + (shared[0].shape[1] if shared else 0)
        first = n_keys - n_rows  # absolute position of the first row
        cells = MAX_SCORES * (_ON_GPU if query.is_cuda else 1)
        step = max(1, cells // (n * n_heads * n_keys))
        pieces = []
        for a in range(0, n_rows, step):
            z = min(a + step, n_rows)
            q = (query[:, :, a:z] * scaling).reshape(n, n_kv, n_heads // n_kv, z - a, -1)
            if visible is not None:
                seen = visible[0, 0, a:z, :n_keys].to(query.device)
            elif n_rows > 1:
                seen = torch.ones(z - a, n_keys, dtype=torch.bool, device=query.device).tril(first + a)
            else:
                seen = None
            pieces.append(self._rows(layer, q, shared, own, softcap, seen, first + a))
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1)

    def _rows(self, layer, q, shared, own, softcap, visible, start):
        n, n_kv, n_group, n_rows, width = q.shape
        scores = (q.reshape(n, n_kv, n_group * n_rows, width) @ own[0].transpose(2, 3)).transpose(0, 1)
        scores = scores.reshape(n_kv, n * n_group * n_rows, -1)
        n_shared = 0
        if shared is not None and shared[0].shape[1]:
            n_shared = shared[0].shape[1]
            by_head = q.transpose(0, 1).reshape(n_kv, n * n_group * n_rows, width)
            scores = torch.cat([by_head @ shared[0].transpose(1, 2), scores], dim=-1)
        scores = scores.float()
        if softcap is not None:
            scores = torch.tanh(scores / softcap) * softcap
        scores = scores.view(n_kv, n, n_group, n_rows, -1)
        if visible is not None:
            scores.add_(_bias(visible))
        cut = self.masks and self.masks.bias(layer, start, start + n_rows, scores.device, n)
        if cut:
            low, high, bias = cut
            bias = bias.unflatten(1, (n_kv, n_group)).transpose(0, 1) if bias.shape[1] > 1 else bias[None, :, :]
            scores[:, low:high, ..., : bias.shape[-1]].add_(bias)
        weights = scores.softmax(-1)
        if self.recorder.wants_weights:
            branches = None if self.branches is None else self.branches[:n]
            self.recorder.add_weights(layer, weights, branches, start)
        weights = weights.to(q.dtype).view(n_kv, n * n_group * n_rows, -1)
        mine = weights[..., n_shared:].reshape(n_kv, n, n_group * n_rows, -1).transpose(0, 1)
        output = (mine @ own[1]).view(n, n_kv, n_group, n_rows, -1)
        if n_shared:
            from_shared = weights[..., :n_shared] @ shared[1]
            output = output + from_shared.view(n_kv, n, n_group, n_rows, -1).transpose(0, 1)
        return output.permute(0, 3, 1, 2, 4).reshape(n, n_rows, n_kv * n_group, -1)


class Together(Cache):
    """Several servers behind one call of a decoder, each with some rows of the batch: prompts that decode as one.

    Attributes:
        seen: the layers whose attention came through here in this call.
    """

    def __init__(self):
        super().__init__(layers=[])
        self.seat([])

    def seat(self, members):
        """Whose rows the batch of the next call has: (server, number of rows), in order."""
        self.servers = [server for server, _ in members]
        ends = np.cumsum([0, *(n for _, n in members)]).tolist()
        self.rows = [slice(a, z) for a, z in pairwise(ends)]
        self.seen = set()

    def advance(self, n_rows):
        """The call is over."""
        for server in self.servers:
            server.cache.arrived.clear()
            if not server.cache.in_prefill:
                server.cache.n_own += n_rows

    def get_seq_length(self, layer_idx=0):
        return self.servers[0].cache.get_seq_length()

    def get_mask_sizes(self, query_length, layer_idx):
        return self.servers[0].cache.get_mask_sizes(query_length, layer_idx)

    def update(self, key_states, value_states, layer_idx, *args, **kwargs):
        if len(self.servers) == 1:  # a prefill knows keys again by their identity
            return self.servers[0].cache.update(key_states, value_states, layer_idx)
        for server, rows in zip(self.servers, self.rows, strict=True):
            server.cache.update(key_states[rows], value_states[rows], layer_idx)
        return key_states, value_states

    def mask(self, *args, **kwargs):
        """The decoder's own mask [servers, 1, rows, keys of the longest]; None where it is just causal."""
        masks = [server.mask(*args, **kwargs) for server in self.servers]
        if len(masks) == 1 or masks[0] is None:
            return masks[0]
        longest = max(mask.shape[-1] for mask in masks)
        return torch.cat([torch.nn.functional.pad(mask, (0, longest - mask.shape[-1])) for mask in masks])

    def attention(self, module, query, key, value, attention_mask, **kwargs):
        self.seen.add(getattr(module, "layer_idx", None))
        if len(self.servers) == 1:
            return self.servers[0].attention(module, query, key, value, attention_mask, **kwargs)
        outputs = []
        for i, (server, rows) in enumerate(zip(self.servers, self.rows, strict=True)):
            mask = None if attention_mask is None else attention_mask[i : i + 1]
            outputs.append(server.attention(module, query[rows], key[rows], value[rows], mask, **kwargs)[0])
        return torch.cat(outputs), None


def _bias(visible):
    """Additive mask [rows, keys] of a mask that is boolean or additive already."""
    if visible.dtype != torch.bool:
        return visible.float()
    return torch.zeros(visible.shape, device=visible.device).masked_fill_(~visible, float("-inf"))


@contextmanager
def served(decoder, together):
    """Within the block the decoder's attention is that of the servers behind `together`; afterwards it is as before.

    Other threads wait: a model answers one run at a time.
    """
    with _lock:
        configs = {id(m.config): m.config for m in decoder.modules() if hasattr(m, "config")}
        configs = [c for c in configs.values() if hasattr(c, "_attn_implementation_internal")]
        before = [c._attn_implementation_internal for c in configs]
        _serving.append(together)
        try:
            for config in configs:
                config._attn_implementation_internal = NAME
            yield
        finally:
            _serving.pop()
            for config, name in zip(configs, before, strict=True):
                config._attn_implementation_internal = name


def _attention(module, *args, **kwargs):
    return _serving[-1].attention(module, *args, **kwargs)


def _mask(*args, **kwargs):
    return _serving[-1].mask(*args, **kwargs)


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, _mask)
