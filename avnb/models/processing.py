"""How a clip and a question reach a model: by its own processor, whatever that takes.

A processor takes a video or, where it knows none, the frames as pictures; and sound, in a place of its own after the
pictures, or as part of the video (Qwen-Omni). The order in a prompt is always pictures, sound, question.
"""

import inspect

from transformers.processing_utils import OmniModalProcessorMixin

from avnb.media.reading import ClipError
from avnb.models.prompt import PromptError

SYSTEM = "You are a helpful assistant."
FPS_OF_PICTURES = 1.0  # for processors that know pictures and no video: a picture costs them hundreds of positions


def sound_extractor(processor):
    """What makes features of a wave, under whatever name; None if the processor takes no sound."""
    return getattr(processor, "feature_extractor", None) or getattr(processor, "audio_processor", None)


def sees(processor):
    """Whether a processor takes pictures."""
    return any(getattr(processor, name, None) is not None for name in ("video_processor", "image_processor"))


def longest_sound(processor):
    """The seconds of sound that a processor takes, beyond which it would cut in silence; None for any length."""
    if hasattr(processor, "longest_sound"):  # one of ours
        return processor.longest_sound
    extractor = sound_extractor(processor)
    if seconds := getattr(extractor, "chunk_length", None):  # Whisper's
        return seconds
    if milliseconds := getattr(processor, "audio_ms_per_token", None):  # Gemma 4's
        return processor.audio_seq_length * milliseconds / 1000
    most = inspect.signature(type(extractor).__call__).parameters.get("max_length")
    return most.default / extractor.sampling_rate if most is not None and most.default else None


def check_length(processor, audio, name=None):
    """A ClipError if a mono wave float32 [n] at the extractor's rate is longer than the processor takes.

    Args:
        processor: of the model.
        audio: the wave.
        name: of the clip, for the error.
    """
    rate, most = sound_extractor(processor).sampling_rate, longest_sound(processor)
    if most and len(audio) > most * rate:
        whose, seconds = f"{name}: " if name else "", len(audio) / rate
        raise ClipError(
            f"{whose}{seconds:.1f} s of sound are more than the {most:g} s that {type(processor).__name__} takes; "
            "cut the clip"
        )


def sampling(processor, options):
    """How a processor wants frames of a video: (frames a second, `sample` of `read_frames`)."""
    video = getattr(processor, "video_processor", None)
    fps = options.get("fps") or getattr(video, "fps", None)
    sample = getattr(processor, "sample_frames", None)
    if sample is None and not fps and (n_frames := getattr(video, "num_frames", None)):
        sample = f"{'midpoints' if getattr(video, 'initial_shift', None) is True else 'starts'}:{n_frames}"
    return fps or (2.0 if video is not None else FPS_OF_PICTURES), sample or "starts"


def most_pixels(processor):
    """How large a frame is worth reading, in pixels: four times what is kept of it, so that the processor's own scaling
    shapes the picture; None for any size, where the processor does not say in pixels what it keeps."""
    video = getattr(processor, "video_processor", None)
    kept = getattr(getattr(video, "size", None), "longest_edge", None)
    return 4 * kept if kept and hasattr(video, "merge_size") else None  # for others it is the edge, not the area


def default_system(processor, sound):
    """The system message that a model was trained with, "" for none: its template's own, if it is the common one."""
    if own := getattr(processor, "default_system", None):
        return own(sound)
    template = getattr(processor, "chat_template", None) or getattr(processor.tokenizer, "chat_template", None)
    return SYSTEM if SYSTEM in str(template) else ""


def interleaves(processor):
    """Whether the sound of a video is part of the video."""
    return isinstance(processor, OmniModalProcessorMixin)


def inputs(processor, video, audio, question, system, fps, options):
    """The model's keyword arguments for pictures, sound and text.

    Args:
        processor: of the model.
        video: frames uint8 [T, H, W, 3], `fps` of them a second, or None.
        audio: a mono wave float32 [n] at the extractor's rate, or None.
        question: text.
        system: text; "" for no system message.
        fps: frames a second.
        options: more keyword arguments of the processor.

    Raises:
        ClipError: the sound is longer than the processor takes.
        PromptError: it takes no pictures, or no sound.
    """
    for kind, given, taken in (("pictures", video, sees), ("sound", audio, sound_extractor)):
        if given is not None and not taken(processor):
            raise PromptError(f"{type(processor).__name__} takes no {kind}")
    options, content = {name: value for name, value in options.items() if name != "fps"}, []
    as_video = getattr(processor, "video_processor", None) is not None
    if video is not None and as_video:
        content.append({"type": "video", "video": ""})
        # Qwen2.5-VL reads the rate from the metadata and would take 24 frames a second; Qwen2.5-Omni reads `fps`.
        metadata = {"total_num_frames": len(video), "fps": fps, "frames_indices": list(range(len(video)))}
        options |= {"videos": [video], "do_sample_frames": False, "fps": fps, "video_metadata": [metadata]}
    elif video is not None:
        content += [{"type": "image", "image": ""}] * len(video)
        options |= {"images": list(video)}
    if audio is not None:
        check_length(processor, audio)
        options |= {"audio": [audio], "sampling_rate": sound_extractor(processor).sampling_rate}
        if video is not None and as_video and interleaves(processor):
            options |= {"audio_from_video_indices": [0], "load_audio_from_video": True}
        else:
            content.append({"type": "audio", "audio": ""})
    content.append({"type": "text", "text": question})
    messages = [{"role": "system", "content": [{"type": "text", "text": system}]}] if system else []
    messages.append({"role": "user", "content": content})
    text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return dict(processor(text=[text], return_tensors="pt", **options))
