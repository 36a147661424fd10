"""The embedded world: drawn and synthesised sources, their captions, and the model organisms trained on them."""
