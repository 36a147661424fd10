"""How the next tokens are picked from logits: greedily, or sampled with noise that every condition shares."""

import torch


class Chooser:
    """Picks the next tokens; called once per step.

    Sampling is Gumbel-max: the token with the highest logit plus noise. The noise of a step depends on the seed and the
    step alone, so two conditions pick different tokens only as far as their logits differ.

    Args:
        temperature: 0 for the most likely token.
        top_p: leave out the tail beyond this much probability.
        seed: of the noise.

    Raises:
        ValueError: temperature below 0, or top_p outside (0, 1].

    Example:
        >>> Chooser()(torch.tensor([[0.1, 2.0, 0.3]]))
        tensor([1])
    """

    def __init__(self, temperature=0.0, top_p=1.0, seed=0):
        if temperature < 0 or not 0 < top_p <= 1:
            raise ValueError(f"temperature={temperature} must be at least 0, and top_p={top_p} in (0, 1]")
        self.temperature, self.top_p = temperature, top_p
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, logits):
        """Token ids [n] for logits [n, vocabulary]."""
        if self.temperature == 0:
            return logits.argmax(-1)
        scaled = logits.float() / self.temperature
        if self.top_p < 1:
            ordered, order = scaled.softmax(-1).sort(-1, descending=True)
            tail = ordered.cumsum(-1) - ordered >= self.top_p
            scaled = scaled.masked_fill(tail.gather(-1, order.argsort(-1)), float("-inf"))
        noise = torch.empty(logits.shape[-1]).exponential_(generator=self.generator)
        return (scaled - noise.log().to(scaled.device)).argmax(-1)


def logprobs(logits, tokens):
    """Log-probabilities [n] in nats of tokens [n] under logits [n, vocabulary]."""
    return logits.float().log_softmax(-1).gather(-1, tokens[:, None])[:, 0]
