"""The embedded world: drawn pictures and synthesised sounds of two dozen sources, and their captions."""
