"""The slow way, as the paper's script does it: eager attention, hooks, every condition on its own, nothing cached.

Written without the engine's masks, cache or attention function: positions are named one by one, the mask is a Python
loop over all pairs of positions, and every answer token costs a pass over the whole sequence.
"""

from contextlib import contextmanager

import numpy as np
import torch

MEDIA = {"audio", "video", "image"}


def blocked(prompt, rule, length):
    """bool [length, length]: which (row, key) pairs a rule cuts; answer positions follow the prompt's."""
    names = [*prompt.segments.types, *["generated"] * (length - len(prompt))]

    def belongs(name, group):
        return any(part == name or (part == "text" and name not in MEDIA | {"generated"}) for part in group.split("+"))

    if isinstance(rule.target, str):
        keys = [belongs(name, rule.target) for name in names]
    elif isinstance(rule.target, tuple):
        keys = [i in rule.target for i in range(length)]
    else:
        like = [i for i in range(len(prompt)) if belongs(names[i], rule.target.like)]
        pools = {"everywhere": range(len(prompt)), "others": [i for i in range(len(prompt)) if i not in like]}
        inside = [i for i in range(len(prompt)) if belongs(names[i], rule.target.among)]
        pool = [*pools.get(rule.target.among, inside)]
        drawn = np.random.default_rng(rule.target.seed).permutation(pool)[: len(like)].tolist()
        keys = [i in drawn for i in range(length)]
    table = torch.zeros(length, length, dtype=torch.bool)
    for row in range(length):
        for key in range(length):
            table[row, key] = key != row and belongs(names[row], rule.source) and keys[key]
    return table


@contextmanager
def hooked(decoder, prompt, condition, length):
    """Within the block every attention module adds the condition to the mask it is given, which it must be given."""
    n_heads = decoder.config.num_attention_heads
    tables = [(rule, blocked(prompt, rule, length)) for rule in condition.rules]

    def hook(layer):
        def before(module, args, kwargs):
            mask = kwargs["attention_mask"].expand(1, n_heads, length, length).clone()
            for rule, table in tables:
                if rule.layers is None or layer in rule.layers:
                    for head in range(n_heads) if rule.heads is None else rule.heads:
                        mask[0, head].masked_fill_(table, torch.finfo(mask.dtype).min)
            kwargs["attention_mask"] = mask
            return args, kwargs

        return before

    def patching(layer):
        def before(module, args):
            hidden = args[0].clone()
            for patch in condition.patches:
                if layer - 1 in patch.layers:
                    kinds = patch.target.split("+") if isinstance(patch.target, str) else ()
                    at = [i for i, name in enumerate(prompt.segments.types) if name in kinds] or list(patch.target)
                    for i, state in zip(at, patch.states[layer - 1], strict=True):
                        hidden[0, i] = state
            return hidden, *args[1:]

        return before

    handles = [
        module.self_attn.register_forward_pre_hook(hook(i), with_kwargs=True) for i, module in enumerate(decoder.layers)
    ]
    if condition.patches:
        handles += [m.register_forward_pre_hook(patching(i)) for i, m in enumerate(decoder.layers)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.inference_mode()
def forward(model, prompt, condition, answer):
    """Logits [n + 1, vocabulary], hidden states and attentions [heads, T + n, T + n] by layer, of T + n positions."""
    decoder, n = model.decoder, len(answer)
    inputs = {k: v for k, v in prompt.inputs.items() if not k.startswith("output_")}
    if n:
        tokens = torch.tensor([list(answer)])
        embeds = decoder.get_input_embeddings()(tokens)
        more = prompt.position_ids[..., -1:] + torch.arange(1, n + 1)
        inputs["inputs_embeds"] = torch.cat([prompt.embeds, embeds], dim=1)
        inputs["position_ids"] = torch.cat([prompt.position_ids, more], dim=-1)
        if (visual := inputs.get("visual_pos_masks")) is not None:
            inputs["visual_pos_masks"] = torch.cat([visual, torch.zeros(1, n, dtype=torch.bool)], dim=1)
        if (per_layer := inputs.get("per_layer_inputs")) is not None:
            inputs["per_layer_inputs"] = torch.cat([per_layer, decoder.get_per_layer_inputs(tokens)], dim=1)
    outputs = []
    collect = [
        layer.register_forward_pre_hook(lambda module, args: outputs.append(args[0][0].clone()))
        for layer in decoder.layers
    ]
    collect.append(decoder.layers[-1].register_forward_hook(lambda module, args, out: outputs.append(out[0].clone())))
    before = decoder.config._attn_implementation
    decoder.set_attn_implementation("eager")
    try:
        with hooked(decoder, prompt, condition, len(prompt) + n):
            result = decoder(**inputs, use_cache=False, output_attentions=True)
    finally:
        decoder.set_attn_implementation(before)
        for handle in collect:
            handle.remove()
    logits = model.head(result.last_hidden_state[0, len(prompt) - 1 :]).float()
    return logits, outputs[1:], [a[0].float() for a in result.attentions]


def generate(model, prompt, condition, max_new_tokens):
    """(token ids, log-probabilities) of the greedy answer."""
    answer = []
    while len(answer) < max_new_tokens and not (answer and answer[-1] in model.stop_ids):
        answer.append(int(forward(model, prompt, condition, answer)[0][-1].argmax()))
    return answer, score(model, prompt, condition, answer)


def score(model, prompt, condition, answer):
    """Log-probabilities of a given answer."""
    logits = forward(model, prompt, condition, answer[:-1])[0]
    return logits.log_softmax(-1)[torch.arange(len(answer)), torch.tensor(answer)].numpy()


def shares(prompt, attentions, groups):
    """[n_steps, n_layers, n_heads, n_groups + 1] of full attention matrices; the last group is the answer itself."""
    weights = torch.stack(attentions)[:, :, len(prompt) - 1 :]  # layers, heads, steps, keys
    columns = [weights[..., np.flatnonzero(np.isin(prompt.segments.types, kinds))].sum(-1) for kinds in groups]
    columns.append(weights[..., len(prompt) :].sum(-1))
    return torch.stack(columns, dim=-1).permute(2, 0, 1, 3).numpy()
