"""Checks of chapter 12, autoregressive models of images, a file a group of exercises:

- `likelihood`: log p(x) by the chain rule, FVSBN and NADE;
- `sampling`: samples, completions, levels at a temperature;
- `masks`: masks, and what a pixel sees through them;
- `convolutions`: the gated layers of PixelCNN;
- `challenge`: a trained model of digits.
"""
