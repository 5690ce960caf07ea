"""Wrong answers to the exercises of chapter 6, variational autoencoders, in the files of the checks."""
