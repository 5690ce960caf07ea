"""Checks of chapter 12, autoregressive models of images, a file a group of exercises:

- `likelihood`: log p(x) by the chain rule and by NADE;
- `fvsbn`: the fully visible sigmoid belief network;
- `sampling`: samples and completions;
- `levels`: gray levels at a temperature;
- `masks`: masks, and what a pixel sees through them;
- `convolutions`: the gated layers of PixelCNN;
- `challenge`: a trained model of digits.
"""
