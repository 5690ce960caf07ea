"""Wrong answers to the exercises of chapter 1, what is a generative model?, in the files of the checks."""
