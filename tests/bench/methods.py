"""The ways to answer a clip under many conditions. Each returns the token ids of every condition."""

from contextlib import ExitStack

import torch

from avnb.engine.branches import run
from avnb.engine.capture import Capture


def generate(model, inputs, conditions, n_new):
    """The floor: one plain answer, no condition at all."""
    return [_generate(model, inputs, n_new)]


def ours(model, inputs, conditions, n_new, capture=None):
    """The engine: encode, prefill and branch."""
    runs = run(model, model.prompt_from_inputs(**inputs), conditions, n_new, capture=capture)
    return [r.token_ids.tolist() for r in runs]


def ours_capture(model, inputs, conditions, n_new):
    """The same, with the attention shares of all layers, heads and steps."""
    return ours(model, inputs, conditions, n_new, Capture(shares="paper"))


def hooks(model, inputs, conditions, n_new):
    """As the paper's script: eager attention, a hook on every attention module, one full generate per condition."""
    answers = []
    for condition in conditions:
        (rule,) = condition.rules
        target = torch.nonzero(inputs["input_ids"][0] == model.media_ids[rule.target])[:, 0]

        def block(module, args, kwargs, target=target):
            mask = kwargs["attention_mask"].clone()
            if mask.shape[2] == 1:  # a generated row; the prompt comes as one call
                mask[..., target] = torch.finfo(mask.dtype).min
            return args, {**kwargs, "attention_mask": mask}

        with ExitStack() as stack:
            for layer in rule.layers:
                module = model.decoder.layers[layer].self_attn
                stack.callback(module.register_forward_pre_hook(block, with_kwargs=True).remove)
            answers.append(_generate(model, inputs, n_new))
    return answers


def nnsight(model, inputs, conditions, n_new):
    """The same intervention through nnsight's generic wrapper, one full generate per condition."""
    from nnsight import NNsight

    wrapped = NNsight(model.hf)
    answers = []
    for condition in conditions:
        (rule,) = condition.rules
        target = torch.nonzero(inputs["input_ids"][0] == model.media_ids[rule.target])[:, 0]
        options = {**inputs, "max_new_tokens": n_new, "do_sample": False}
        with torch.inference_mode(), wrapped.trace(fn=model.hf.generate, **options) as tracer:
            for _ in tracer.iter[1:n_new]:
                for layer in rule.layers:
                    attention = wrapped.model.language_model.layers[layer].self_attn
                    args, kwargs = attention.inputs
                    mask = kwargs["attention_mask"].clone()
                    mask[..., target] = torch.finfo(mask.dtype).min
                    attention.inputs = (args, {**kwargs, "attention_mask": mask})
            output = tracer.result.save()
        answers.append(output[0, -n_new:].tolist())
    return answers


def attentions(model, inputs, conditions, n_new):
    """Plain generate that returns all attention weights, as toolkits ask for them."""
    with torch.inference_mode():
        output = model.hf.generate(
            **inputs, max_new_tokens=n_new, do_sample=False, output_attentions=True, return_dict_in_generate=True
        )
    return [output.sequences[0, -n_new:].tolist()]


def _generate(model, inputs, n_new):
    with torch.inference_mode():
        return model.hf.generate(**inputs, max_new_tokens=n_new, do_sample=False)[0, -n_new:].tolist()


METHODS = {f.__name__: f for f in (generate, ours, ours_capture, hooks, nnsight, attentions)}
ONE_BY_ONE = ("hooks", "nnsight")
EAGER = ("hooks", "nnsight", "attentions")
