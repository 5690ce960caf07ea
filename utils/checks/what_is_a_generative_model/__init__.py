"""Checks of chapter 1, what is a generative model?, a file a group of exercises:

- `bernoulli`: the model of independent pixels: fit, log p(x, y), missing pixels;
- `sampling`: its samples;
- `classification`: from the joint to p(y | x), and to logistic regression;
- `evaluation`: AUROC and calibration;
- `challenge`: digits from few labels.
"""
