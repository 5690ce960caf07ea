"""Checks of chapter 13, transformers, a file a group of exercises:

- `tokens`: a merge of byte-pair encoding;
- `likelihood`: bits per character, pairs counted by Kneser and Ney;
- `attention`: attention, heads;
- `positions`: rotary positions, a step with a cache;
- `sampling`: the nucleus, speculative sampling;
- `adaptation`: changes of low rank;
- `challenge`: a trained model of a language in which names come back.
"""
