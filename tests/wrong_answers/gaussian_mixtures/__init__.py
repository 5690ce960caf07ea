"""Wrong answers to the exercises of chapter 4, Gaussian mixtures, in the files of the checks."""
