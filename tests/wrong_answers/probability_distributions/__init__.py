"""Wrong answers to the exercises of chapter 2, probability distributions, in the files of the checks."""
