"""VideoLLaMA 2.1-7B-AV and its visual base, known to transformers' Auto classes once this is imported."""

from transformers import AutoConfig, AutoModelForMultimodalLM, AutoProcessor

from avnb.models.videollama2.modeling import VideoLlama2Config, VideoLlama2ForConditionalGeneration
from avnb.models.videollama2.processing import VideoLlama2Processor

__all__ = ["VideoLlama2Config", "VideoLlama2ForConditionalGeneration", "VideoLlama2Processor"]

AutoConfig.register(VideoLlama2Config.model_type, VideoLlama2Config)
AutoModelForMultimodalLM.register(VideoLlama2Config, VideoLlama2ForConditionalGeneration)
AutoProcessor.register(VideoLlama2Config, VideoLlama2Processor)
