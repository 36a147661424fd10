"""MiniCPM-o 2.6 and its base MiniCPM-V 2.6: classes of our own, so that no code of a checkpoint is ever run.

Importing this package makes transformers' Auto classes know them by the official checkpoints' model types.
"""

from transformers import AutoConfig, AutoModelForMultimodalLM, AutoProcessor

from avnb.models.minicpm_o.configuration import MiniCPMOConfig, MiniCPMVConfig
from avnb.models.minicpm_o.modeling import MiniCPMOForConditionalGeneration, MiniCPMVForConditionalGeneration
from avnb.models.minicpm_o.processing import MiniCPMOProcessor, MiniCPMVProcessor

for _config, _model, _processor in (
    (MiniCPMOConfig, MiniCPMOForConditionalGeneration, MiniCPMOProcessor),
    (MiniCPMVConfig, MiniCPMVForConditionalGeneration, MiniCPMVProcessor),
):
    AutoConfig.register(_config.model_type, _config)
    AutoModelForMultimodalLM.register(_config, _model)
    AutoProcessor.register(_config, _processor)
