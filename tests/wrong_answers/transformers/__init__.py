"""Wrong answers to the exercises of chapter 13, transformers, in the files of the checks."""
