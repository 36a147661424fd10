"""One adapter for every audio-visual or vision-language model that transformers loads.

A multimodal model is encoders, then a decoder stack. So a `Prompt` costs no code per family: call the model as usual
and intercept the call of its decoder. What every position is follows from the processor's token ids.
"""

import inspect
from itertools import groupby

import numpy as np
import torch
from transformers.processing_utils import OmniModalProcessorMixin

from avnb.media.reading import ClipError
from avnb.models.prompt import MEDIA, Prompt, PromptError, Segments

SYSTEM = "You are a helpful assistant."


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

    Raises:
        PromptError: the model holds no decoder that can be called on embeddings.
    """

    unused = None

    def __init__(self, hf, processor=None, name=None):
        self.hf = getattr(hf, "thinker", hf).eval()
        self.processor = processor
        self.tokenizer = getattr(processor, "tokenizer", processor)
        self.name = name or type(hf).__name__
        self.decoder = getattr(getattr(self.hf, "model", None), "language_model", None) or self.hf.get_decoder()
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
        """Frames a second at which clips are sampled."""
        return self.processor_options.get("fps") or getattr(self.processor.video_processor, "fps", None) or 2.0

    @property
    def hears(self):
        """True if the model takes sound."""
        return getattr(self.processor, "feature_extractor", None) is not None

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

    def prompt(self, clip, question, modalities=("video", "audio"), system=None):
        """The decoder's input for one clip and question.

        Args:
            clip: a `Clip`; of kind "mute", or for a model that takes no sound, only its pictures are used.
            question: what to ask, e.g. "Describe what you hear."
            modalities: leave one out to ask from sound or from pictures alone; () for the question without a clip.
            system: the system message; None for the one that the model was trained with.

        Raises:
            ClipError: the clip cannot be read, or lacks an audio track and is not of kind "mute".
            PromptError: nothing is left to show to the model.
        """
        system = self._system(self._heard(clip, modalities)) if system is None else system
        inputs = self._inputs(clip, question, modalities, system)
        return self.prompt_from_inputs(**inputs, question=question, system=system, clip_id=clip.id)

    def _inputs(self, clip, question, modalities, system=None):
        video = audio = fps = None
        if "video" in modalities:
            video, times = clip.frames(fps=self.fps, **self._sampling)
            fps = round((len(times) - 1) / (times[-1] - times[0]), 6) if len(times) > 1 else self.fps
        if self._heard(clip, modalities):
            audio = self._wave(clip)
        if modalities and video is None and audio is None:
            raise PromptError(
                f"{clip.id}: no modality is left of {modalities} for {self.name} (clip of kind {clip.kind})"
            )
        try:
            return self.process(video, audio, question, system, fps)
        except PromptError:
            raise
        except Exception as error:  # a processor may refuse in any way, e.g. a picture that is too narrow
            reason = " ".join(str(error).split())
            raise ClipError(
                f"{clip.id}: {type(self.processor).__name__} refuses it ({reason}); leave it out"
            ) from error

    @property
    def _sampling(self):
        """How the processor wants frames: at the starts or ends of steps, or from the middles of as many parts."""
        kind, _, n = getattr(self.processor, "sample_frames", "starts").partition(":")
        return {"midpoints": int(n)} if kind == "midpoints" else {"at": kind}

    def _heard(self, clip, modalities):
        return "audio" in modalities and self.hears and clip.kind != "mute"

    def _system(self, sound):
        own = getattr(self.processor, "default_system", None)
        return SYSTEM if own is None else own(sound)

    def _wave(self, clip):
        """The sound of a clip, all of which the model must be able to take."""
        extractor = self.processor.feature_extractor
        longest = getattr(extractor, "chunk_length", None)
        wave = clip.wave(max_seconds=longest and longest + 1)
        if longest and len(wave) > longest * extractor.sampling_rate:
            raise ClipError(
                f"{clip.id} lasts longer than the {longest} s of sound that {self.name} takes; cut the clip"
            )
        return wave

    def process(self, video, audio, question, system=None, fps=None):
        """The model's keyword arguments for pictures, sound and text, from its processor.

        Args:
            video: frames uint8 [T, H, W, 3], `fps` of them a second (default `self.fps`), or None.
            audio: a mono wave float32 [n] at 16 kHz, or None.
            question: text.
            system: text; None for the one that the model was trained with.

        Raises:
            PromptError: the processor is of a family whose sound cannot be handed over.
        """
        system = self._system(audio is not None) if system is None else system
        listed = hasattr(self.processor, "sample_frames")  # a processor of our own, which takes sound beside the video
        if audio is not None and not (listed or isinstance(self.processor, OmniModalProcessorMixin)):
            raise PromptError(f"{self.name}: handing sound to {type(self.processor).__name__} is not supported")
        media = ["video"] * (video is not None) + ["audio"] * (audio is not None)
        if not listed:  # with both, the sound is part of the video
            media = media[:1]
        content = [{"type": kind, kind: ""} for kind in media] + [{"type": "text", "text": question}]
        messages = [
            {"role": "system", "content": [{"type": "text", "text": system}]},
            {"role": "user", "content": content},
        ]
        text = self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        options = self.processor_options
        if video is not None:
            fps = fps or self.fps
            # Qwen2.5-VL reads the rate from the metadata and would take 24 frames a second; Qwen2.5-Omni reads `fps`.
            metadata = {"total_num_frames": len(video), "fps": fps, "frames_indices": list(range(len(video)))}
            options |= {"videos": [video], "do_sample_frames": False, "fps": fps, "video_metadata": [metadata]}
        if audio is not None:
            options |= {"audio": [audio]}
        interleaved = video is not None and audio is not None and not listed
        if interleaved:
            options |= {"audio_from_video_indices": [0], "load_audio_from_video": True}
        for name, kind in (("position_id_per_seconds", int), ("seconds_per_chunk", float)):
            if self.hears and (value := getattr(self.hf.config, name, None)) is not None:
                options[name] = kind(value)
        inputs = dict(self.processor(text=[text], return_tensors="pt", **options))
        if interleaved and "use_audio_in_video" in inspect.signature(self.hf.forward).parameters:
            inputs["use_audio_in_video"] = True
        return inputs

    @torch.inference_mode()
    def prompt_from_inputs(self, question=None, system=None, clip_id=None, **inputs):
        """The prompt of a processor's output (batch of one, no padding).

        Args:
            question, system: texts to be found in the prompt and typed `query` and `system`; without them those
                positions stay `template`.
            **inputs: the keyword arguments that the model's forward takes.

        Raises:
            PromptError: several rows, padding, or a question that the prompt does not contain.
        """
        ids = inputs["input_ids"]
        if ids.shape[0] != 1:
            raise PromptError(f"a prompt is one row, {ids.shape[0]} were given; make one prompt per clip")
        mask = inputs.get("attention_mask")
        if mask is not None and not bool((mask == 1).all()):
            raise PromptError("the prompt is padded; process one clip at a time, without padding")
        call = _intercept(self.hf, self.decoder, self._on_device(inputs))
        if call.get("position_ids") is None:
            call["position_ids"] = torch.arange(ids.shape[1], device=self.device)[None]
        ids = ids[0].cpu().numpy()
        types = self._types(ids, {"system": system, "query": question}, clip_id)
        return Prompt(call, Segments(types), ids, clip_id, question)

    @torch.inference_mode()
    def caption(self, clip, question, max_new_tokens=64, modalities=("video", "audio")):
        """The model's greedy answer to a question about a clip, as text.

        Example:
            >>> model = avnb.load("toy-omni")
            >>> type(model.caption(avnb.datasets.load("toybox", n=1)[0], "Describe what you see."))
            <class 'str'>
        """
        inputs = self._inputs(clip, question, modalities)
        output = self.hf.generate(
            **self._on_device(inputs),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            repetition_penalty=1.0,  # some checkpoints ask for one; a greedy answer has none
            eos_token_id=sorted(self.stop_ids),
        )
        return self.decode(output[0, inputs["input_ids"].shape[1] :])

    def _on_device(self, inputs):
        return {k: v.to(self.device) if isinstance(v, torch.Tensor) else v for k, v in inputs.items()}

    def _types(self, ids, phrases, clip_id):
        types = np.full(len(ids), "template", dtype=object)
        for kind, media_id in self.media_ids.items():
            types[ids == media_id] = kind
        is_media = np.isin(types, MEDIA)
        special = set(self.tokenizer.all_special_ids if self.tokenizer is not None else ()) - self.stop_ids
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
    def __init__(self, kwargs):
        self.kwargs = kwargs


def _intercept(hf, decoder, inputs):
    """The keyword arguments with which the model calls its decoder; the decoder itself does not run."""

    def stop(module, args, kwargs):
        raise _Intercepted(kwargs)

    handle = decoder.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        hf(**inputs)
    except _Intercepted as call:
        kwargs = call.kwargs
    else:
        raise PromptError(f"{type(hf).__name__} did not call its decoder {type(decoder).__name__}")
    finally:
        handle.remove()
    if kwargs.get("inputs_embeds") is None:
        kwargs["inputs_embeds"] = decoder.get_input_embeddings()(kwargs["input_ids"])
    dropped = {"input_ids", "past_key_values", "use_cache", "return_dict", "cache_position"}
    if getattr(kwargs.get("attention_mask"), "ndim", 0) == 2:
        dropped.add("attention_mask")  # all ones; a mask that lets a picture see all of itself is kept
    return {k: v for k, v in kwargs.items() if k not in dropped and not k.startswith("output_") and v is not None}


def _media_id(kind, processor, config):
    for holder in (processor, config):
        for name in (f"{kind}_token_id", f"{kind}_token_index"):
            if isinstance(value := getattr(holder, name, None), int):
                return value
    return None


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
