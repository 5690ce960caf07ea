"""Wrong answers to the exercises of chapter 7, vector quantization, in the files of the checks."""
