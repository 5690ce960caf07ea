"""Wrong answers to the exercises of chapter 8, generative adversarial networks, in the files of the checks."""
