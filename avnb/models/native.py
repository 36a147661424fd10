"""One adapter for every audio-visual or vision-language model that transformers loads.

A multimodal model is encoders, then a decoder stack. So a `Prompt` costs no code per family: call the model as usual
and intercept the call of its decoder. What every position is follows from the processor's token ids.
"""

import inspect
import logging
from itertools import groupby

import numpy as np
import torch

from avnb.media.reading import ClipError
from avnb.models import processing
from avnb.models.processing import SYSTEM
from avnb.models.prompt import MEDIA, Prompt, PromptError, Segments
from avnb.models.shared import current, encoders_once

__all__ = ["SYSTEM", "AVModel"]

_UNPRACTISED = "%s is %.0f s long, and %s was trained on clips of %g s: its answers mean little"

logger = logging.getLogger(__name__)


class AVModel:
    """A multimodal model in memory, ready to be measured.

    Args:
        hf: a transformers model for conditional generation (for the Omni families, its thinker).
        processor: its processor; None if prompts come from `prompt_from_inputs` only.
        name: what tables call it.

    Attributes:
        decoder: the language model stack; returns the hidden states after the final norm.
        stop_ids: the token ids that end an answer.
        unused: names of weights in the checkpoint that have no place in the model; None if it came from memory.
        source: the name that alone loads the model again; None if there is none.
        practice: seconds of the clips that an organism was trained on; None for other models.

    Raises:
        PromptError: the model holds no decoder that can be called on embeddings.
    """

    unused = source = practice = None

    def __init__(self, hf, processor=None, name=None):
        self.hf = getattr(hf, "thinker", hf).eval()
        self.processor = processor
        self.tokenizer = getattr(processor, "tokenizer", processor)
        self.name = name or type(hf).__name__
        self._warned = set()
        self.decoder = getattr(getattr(self.hf, "model", None), "language_model", None) or self.hf.get_decoder()
        if not hasattr(self.decoder, "layers") and hasattr(self.decoder, "get_decoder"):
            self.decoder = self.decoder.get_decoder()  # a language model with a head of its own
        if self.decoder is None or not hasattr(self.decoder, "layers"):
            raise PromptError(
                f"{self.name}: no decoder with layers was found; pass the model for conditional generation"
            )
        self.media_ids = {kind: _media_id(kind, processor, self.hf.config) for kind in MEDIA}
        self.stop_ids = _stop_ids(self.hf, self.tokenizer) | set(getattr(processor, "stop_token_ids", ()))

    @property
    def device(self):
        return self.hf.get_input_embeddings().weight.device

    @property
    def processor_options(self):
        """Options of every processor call: what the checkpoint's configuration asks for in `processor_kwargs`."""
        return dict(getattr(self.hf.config, "processor_kwargs", None) or {})

    @property
    def fps(self):
        """Frames a second at which clips are sampled, where the model takes a rate."""
        return processing.sampling(self.processor, self.processor_options)[0]

    @property
    def sees(self):
        """True if the model takes pictures."""
        return processing.sees(self.processor)

    @property
    def hears(self):
        """True if the model takes sound."""
        deaf = getattr(self.hf.config, "audio_config", self) is None  # a size of Gemma 4 that has no ears
        return processing.sound_extractor(self.processor) is not None and not deaf

    @property
    def context(self):
        """The longest prompt with its answer, in tokens, that the decoder takes (with YaRN, if so); None if unknown."""
        config = self.decoder.config.get_text_config()
        longest = getattr(config, "max_position_embeddings", None)
        scaled = getattr(config, "rope_parameters", None) or {}
        if longest is None or scaled.get("rope_type") != "yarn":
            return longest
        taught = scaled.get("original_max_position_embeddings") or longest
        return max(longest, int(taught * scaled.get("factor", 1)))

    def check_context(self, n_prompt, n_new=0, clip_id=None):
        """A ClipError if a prompt and the tokens of its answer are more than the decoder's context.

        Beyond it a decoder answers all the same, and nobody knows how well.

        Args:
            n_prompt: tokens of the prompt.
            n_new: tokens of the answer, at most.
            clip_id: of the clip, for the error.

        Raises:
            ClipError: see above.
            ValueError: the answer alone is too long for any clip.
        """
        if self.context is not None and n_new >= self.context:
            raise ValueError(f"answers of {n_new:,} tokens: the decoder of {self.name} takes {self.context:,} in all")
        if self.context is not None and n_prompt + n_new > self.context:
            answer = f" and {n_new} for the answer" if n_new else ""
            raise ClipError(
                f"{clip_id or 'prompt'}: {n_prompt:,} tokens{answer} are more than the {self.context:,} that the "
                f"decoder of {self.name} takes; cut the clip"
            )

    def head(self, hidden):
        """Logits [..., vocabulary] of final hidden states [..., width], with the model's own scale and soft cap."""
        config = self.hf.config.get_text_config()
        scale = getattr(config, "logit_scale", None) or 1 / (getattr(config, "logits_scaling", None) or 1)
        logits = self.hf.get_output_embeddings()(hidden)
        logits = logits if scale == 1 else logits * scale
        cap = getattr(config, "final_logit_softcapping", None)
        return logits if cap is None else cap * torch.tanh(logits / cap)

    def decode(self, token_ids):
        """The text of an answer, without special tokens."""
        return self.tokenizer.decode(token_ids, skip_special_tokens=True).strip()

    def prompt(self, clip, question, modalities=("video", "audio"), system=None, like=None):
        """The decoder's input for one clip and question.

        Args:
            clip: a `Clip`; of kind "mute", or for a model that takes no sound, only its pictures are used.
            question: what to ask, e.g. "Describe what you hear."
            modalities: leave one out to ask from sound or from pictures alone; () for the question without a clip.
            system: the system message; "" for none, None for the one that the model was trained with.
            like: another model, whose choice of frames is taken; None for this model's own.

        Raises:
            ClipError: the clip cannot be read, lacks an audio track and is not of kind "mute", or is longer than the
                model takes.
            PromptError: nothing is left to show to the model.
        """
        system = self._system(self._heard(clip, modalities)) if system is None else system
        made = {} if (memory := current()) is None else memory.prompts
        key = self, id(clip), question, tuple(modalities), system, like
        if key not in made:
            inputs = self._inputs(clip, question, modalities, system, like)
            about = {"question": question, "system": system, "clip_id": clip.id, "pictures": "video"}
            made[key] = clip, self.prompt_from_inputs(**inputs, **about)
        return made[key][1]

    def _inputs(self, clip, question, modalities, system=None, like=None):
        video = audio = fps = None
        seconds = 0.0
        try:
            if self._heard(clip, modalities):  # first: it is the smaller one, and may be too long
                most = processing.longest_sound(self.processor)
                rate = processing.sound_extractor(self.processor).sampling_rate
                audio = clip.wave(rate, max_seconds=most and most + 1)
                processing.check_length(self.processor, audio, clip.id)
                seconds = len(audio) / rate
            if "video" in modalities and self.sees:
                video, fps = (like or self)._frames(clip)
                seconds = max(seconds, len(video) / fps)
            if modalities and video is None and audio is None:
                raise PromptError(
                    f"{clip.id}: no modality is left of {modalities} for {self.name} (clip of kind {clip.kind})"
                )
            if self.practice is not None and seconds > 2 * self.practice and clip.id not in self._warned:
                self._warned.add(clip.id)
                logger.warning(_UNPRACTISED, clip.id, seconds, self.name, self.practice)
            return self.process(video, audio, question, system, fps)
        except (PromptError, ClipError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # a processor may refuse in any way, e.g. a picture that is too narrow
            reason = " ".join(str(error).split())
            raise ClipError(
                f"{clip.id}: {type(self.processor).__name__} refuses it ({reason}); leave it out"
            ) from error

    def _frames(self, clip):
        """The frames that this model wants of a clip, and how many a second these are."""
        fps, sample = processing.sampling(self.processor, self.processor_options)
        frames, times = clip.frames(fps=fps, sample=sample, max_pixels=processing.most_pixels(self.processor))
        return frames, round((len(times) - 1) / (times[-1] - times[0]), 6) if len(times) > 1 else fps

    def _heard(self, clip, modalities):
        return "audio" in modalities and self.hears and clip.kind != "mute"

    def _system(self, sound):
        return processing.default_system(self.processor, sound)

    def process(self, video, audio, question, system=None, fps=None):
        """The model's keyword arguments for pictures, sound and text, from its processor.

        Args:
            video: frames uint8 [T, H, W, 3], `fps` of them a second (default `self.fps`), or None.
            audio: a mono wave float32 [n] at 16 kHz, or None.
            question: text.
            system: text; "" for none, None for the one that the model was trained with.

        Raises:
            ClipError: the sound is longer than the model takes.
        """
        system = self._system(audio is not None) if system is None else system
        options = self.processor_options
        if processing.interleaves(self.processor):
            for name, kind in (("position_id_per_seconds", int), ("seconds_per_chunk", float)):
                if (value := getattr(self.hf.config, name, None)) is not None:
                    options[name] = kind(value)
        inputs = processing.inputs(self.processor, video, audio, question, system, fps or self.fps, options)
        together = video is not None and audio is not None
        if together and "use_audio_in_video" in inspect.signature(self.hf.forward).parameters:
            inputs["use_audio_in_video"] = True
        return inputs

    @torch.inference_mode()
    def prompt_from_inputs(self, question=None, system=None, clip_id=None, pictures="image", **inputs):
        """The prompt of a processor's output (batch of one, no padding).

        Args:
            question, system: texts to be found in the prompt and typed `query` and `system`; without them those
                positions stay `template`.
            pictures: the type of positions of pictures: "image", or "video" where they are the frames of one.
            **inputs: the keyword arguments that the model's forward takes.

        Raises:
            ClipError: the prompt is longer than the decoder's context.
            PromptError: several rows, padding, a question that the prompt does not contain, or media that do not reach
                the decoder.
        """
        ids = inputs["input_ids"]
        if ids.shape[0] != 1:
            raise PromptError(f"a prompt is one row, {ids.shape[0]} were given; make one prompt per clip")
        mask = inputs.get("attention_mask")
        if mask is not None and not bool((mask == 1).all()):
            raise PromptError("the prompt is padded; process one clip at a time, without padding")
        self.check_context(ids.shape[1], clip_id=clip_id)
        with encoders_once(self.hf, self.decoder):
            call = _intercept(self.hf, self.decoder, self._on_device(inputs))
        if call.get("position_ids") is None:
            call["position_ids"] = torch.arange(ids.shape[1], device=self.device)[None]
        ids = ids[0].cpu().numpy()
        types = self._types(ids, {"system": system, "query": question}, clip_id)
        types[types == "image"] = pictures
        self._check_media(call["inputs_embeds"][0], ids, types, clip_id)
        return Prompt(call, Segments(types), ids, clip_id, question)

    @torch.inference_mode()
    def caption(self, clip, question, max_new_tokens=64, modalities=("video", "audio")):
        """The model's greedy answer to a question about a clip, as text.

        Raises:
            ClipError, PromptError: as `prompt`; the answer counts towards the decoder's context.

        Example:
            >>> model = avnb.load("toy-omni")
            >>> type(model.caption(avnb.datasets.load("toybox", n=1)[0], "Describe what you see."))
            <class 'str'>
        """
        inputs = self._inputs(clip, question, modalities)
        self.check_context(inputs["input_ids"].shape[1], max_new_tokens, clip.id)
        head = self.hf.get_output_embeddings()
        # Some models would project the whole prompt onto the vocabulary, which costs more than all the rest.
        handle = head.register_forward_pre_hook(lambda module, args: (args[0][:, -1:], *args[1:]))
        try:
            output = self.hf.generate(
                **self._on_device(inputs),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                repetition_penalty=1.0,  # some checkpoints ask for one; a greedy answer has none
                eos_token_id=sorted(self.stop_ids),
            )
        finally:
            handle.remove()
        return self.decode(output[0, inputs["input_ids"].shape[1] :])

    def _on_device(self, inputs):
        return {k: v.to(self.device) if isinstance(v, torch.Tensor) else v for k, v in inputs.items()}

    def _check_media(self, embeds, ids, types, clip_id):
        """A PromptError if the decoder would be blind or deaf: if media positions hold what the placeholder says."""
        embed = self.decoder.get_input_embeddings()
        for kind in MEDIA:
            found = np.flatnonzero(types == kind)
            if not len(found) or ids[found].max() >= embed.num_embeddings:
                continue
            positions = torch.from_numpy(found).to(embeds.device)
            placeholders = embed(torch.from_numpy(ids[found]).to(embed.weight.device)).to(embeds)
            if torch.equal(embeds[positions], placeholders):
                raise PromptError(
                    f"{clip_id or 'prompt'}: {kind} does not reach the decoder of {self.name}: all {len(found)} "
                    "positions hold the embedding of the placeholder; the model embeds media in a way not known here"
                )

    def _types(self, ids, phrases, clip_id):
        types = np.full(len(ids), "template", dtype=object)
        for kind, media_id in self.media_ids.items():
            types[ids == media_id] = kind
        is_media = np.isin(types, MEDIA)
        special = _special_ids(self.tokenizer) - self.stop_ids
        for start, stop in _runs(is_media):
            if is_media[start]:
                for around in (range(start - 1, -1, -1), range(stop, len(ids))):
                    for i in around:
                        if int(ids[i]) not in special or is_media[i]:
                            break
                        types[i] = "boundary"
        for kind, phrase in phrases.items():
            if phrase:
                span = _find(ids, is_media, phrase, self.tokenizer, last=kind == "query")
                if span is None and kind == "query":
                    raise PromptError(f"{clip_id or 'prompt'}: the question {phrase!r} is not in the prompt")
                types[span if span is not None else []] = kind
        types[-1] = "last"
        return types


class _Intercepted(Exception):  # noqa: N818 (it carries the call, and is no error)
    def __init__(self, args, kwargs):
        self.args, self.kwargs = args, kwargs


# What a decoder is told of a prompt that is embedded; whatever else comes with token ids is still to be embedded.
_OF_TEXT = {"input_ids", "attention_mask", "position_ids", "cache_position", "past_key_values"}


def _intercept(hf, decoder, inputs):
    """The keyword arguments with which the model calls its decoder on embeddings; the decoder itself does not run."""
    kwargs = _stopped_at(decoder, hf, inputs).kwargs
    if kwargs.get("inputs_embeds") is None:
        if any(isinstance(v, torch.Tensor) for k, v in kwargs.items() if k not in _OF_TEXT):
            # A decoder that embeds media itself, such as Phi-4's: what enters its first layer is embedded.
            entering = _stopped_at(decoder.layers[0], hf, inputs)
            embeds = entering.args[0] if entering.args else entering.kwargs["hidden_states"]
            kwargs = {k: v for k, v in kwargs.items() if k in _OF_TEXT}
        else:
            embeds = decoder.get_input_embeddings()(kwargs["input_ids"])
        kwargs["inputs_embeds"] = embeds
    dropped = {"input_ids", "past_key_values", "use_cache", "return_dict", "cache_position"}
    if getattr(kwargs.get("attention_mask"), "ndim", 0) == 2:
        dropped.add("attention_mask")  # all ones; a mask that lets a picture see all of itself is kept
    return {k: v for k, v in kwargs.items() if k not in dropped and not k.startswith("output_") and v is not None}


def _stopped_at(module, hf, inputs):
    """The call of a module when the model is called; the module itself does not run."""

    def stop(module, args, kwargs):
        raise _Intercepted(args, kwargs)

    handle = module.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        hf(**inputs)
    except _Intercepted as call:
        return call
    finally:
        handle.remove()
    raise PromptError(f"{type(hf).__name__} did not call its {type(module).__name__}")


def _media_id(kind, processor, config):
    for holder in (processor, config):
        for name in (f"{kind}_token_id", f"{kind}_token_index"):
            if isinstance(value := getattr(holder, name, None), int):
                return value
    return None


def _special_ids(tokenizer):
    """Ids of special tokens, whether the tokenizer names them or only flags them."""
    if tokenizer is None:
        return set()
    flagged = getattr(tokenizer, "added_tokens_decoder", {})
    return {*tokenizer.all_special_ids, *(i for i, token in flagged.items() if token.special)}


def _stop_ids(hf, tokenizer):
    ids = set()
    for holder in (getattr(hf, "generation_config", None), hf.config.get_text_config(), tokenizer):
        value = getattr(holder, "eos_token_id", None)
        ids |= set(value if isinstance(value, list | tuple) else () if value is None else (value,))
    return ids


def _runs(flags):
    """(start, stop) of every run of equal flags."""
    stop = 0
    for _, run in groupby(flags):
        start, stop = stop, stop + len(list(run))
        yield start, stop


def _find(ids, is_media, phrase, tokenizer, last):
    """Positions of the tokens that spell a phrase, first or last occurrence; None if it is not there."""
    found = None
    for start, stop in _runs(is_media):
        if is_media[start]:
            continue
        text = tokenizer.decode(ids[start:stop], skip_special_tokens=False, clean_up_tokenization_spaces=False)
        at = text.rfind(phrase) if last else text.find(phrase)
        if at < 0:
            continue
        spelled = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        if spelled["input_ids"] != ids[start:stop].tolist():
            raise PromptError(f"{tokenizer.name_or_path}: the tokenizer does not reproduce the prompt's text tokens")
        offsets = np.asarray(spelled["offset_mapping"])
        found = start + np.flatnonzero((offsets[:, 1] > at) & (offsets[:, 0] < at + len(phrase)))
        if not last:
            break
    return found
