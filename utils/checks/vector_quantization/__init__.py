"""Checks of chapter 7, vector quantization, one file a group of exercises."""
