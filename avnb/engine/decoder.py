"""A decoder while it is served: its calls, and what its layers are handed."""

from contextlib import contextmanager
from functools import partial

from avnb.engine.prefix import EngineError, Together


class Caller:
    """Calls a decoder, all rows of which go through servers.

    Attributes:
        n_layers, n_heads: of the decoder; query heads.
        together: the servers behind the call at hand.

    Raises:
        EngineError: the decoder cannot be served.
    """

    def __init__(self, decoder):
        self.decoder = decoder
        self.n_layers, self.n_heads = _shape(decoder)
        self.together = Together()

    def __call__(self, members, enter=None, skip=0, **inputs):
        """Final hidden states [n, rows, width].

        Args:
            members: (server, number of its rows in the batch), in the order of the batch.
            enter: takes (layer, hidden), gives what the layer gets instead; after the last layer it is called with its
                output, which it leaves alone. None leaves the layers alone.
            skip: layers below do nothing.
            **inputs: of the decoder.
        """
        self.together.seat(members)
        with self._entering(enter, skip):
            output = self.decoder(**inputs, past_key_values=self.together, use_cache=True, return_dict=True)
        if missing := set(range(skip, self.n_layers)) - self.together.seen:
            raise EngineError(
                f"{type(self.decoder).__name__} cannot be served: the attention of layers {sorted(missing)} does not "
                "go through transformers' attention interface"
            )
        self.together.advance(output.last_hidden_state.shape[1])
        return output.last_hidden_state

    @contextmanager
    def _entering(self, enter, skip):
        if enter is None:
            yield
            return

        def forward(layer, call, *args, **kwargs):
            if layer < skip:
                return args[0] if args else kwargs["hidden_states"]
            if args:
                args = (enter(layer, args[0]), *args[1:])
            else:
                kwargs["hidden_states"] = enter(layer, kwargs["hidden_states"])
            output = call(*args, **kwargs)
            if layer == self.n_layers - 1:
                enter(self.n_layers, output)
            return output

        layers = self.decoder.layers
        before = [module.__dict__.get("forward") for module in layers]
        try:
            for i, module in enumerate(layers):
                module.forward = partial(forward, i, module.forward)
            yield
        finally:
            for module, original in zip(layers, before, strict=True):
                module.__dict__.pop("forward", None)
                if original is not None:
                    module.forward = original


def base_attention(decoder):
    """The attention that prefills go through: the decoder's own flash attention, if its layers need no mask, or SDPA.

    Flash attention gets no mask, by which layers with windows or soft caps would be told apart.
    """
    config = decoder.config
    base = config._attn_implementation or "sdpa"
    other_layers = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    plainly_causal = not other_layers and getattr(config, "attn_logit_softcapping", None) is None
    return base if base.startswith("flash") and plainly_causal else "sdpa"


def must_run_together(decoder):
    """True where layers exchange more than the residual stream, so that branches cannot join on the way."""
    several_streams = getattr(decoder.config, "altup_num_inputs", 1) > 1
    return several_streams or any(getattr(m, "is_kv_shared_layer", False) for m in decoder.modules())


def _shape(decoder):
    """(number of layers, number of query heads)"""
    name = type(decoder).__name__
    if not hasattr(decoder, "layers") or not hasattr(getattr(decoder, "config", None), "num_attention_heads"):
        raise EngineError(f"{name} cannot be served: it has no layers or no transformers configuration")
    if decoder.training:
        raise EngineError(f"{name} is in training mode, where dropout makes runs differ; call .eval() first")
    known = {"full_attention", "sliding_attention", "chunked_attention"}
    if other := set(getattr(decoder.config, "layer_types", None) or ()) - known:
        raise EngineError(
            f"{name} cannot be served: it has layers of type {', '.join(sorted(other))}, so that a knockout would cut "
            "only the part of the path that goes through attention"
        )
    return len(decoder.layers), decoder.config.num_attention_heads
