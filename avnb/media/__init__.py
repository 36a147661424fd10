"""Clips, and the media files behind them: what a clip is, how files are read, and how they are written."""
