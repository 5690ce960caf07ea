"""Wrong answers to the exercises of chapter 3, Bayesian networks, in the files of the checks."""
