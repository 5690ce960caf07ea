"""Wrong answers to the exercises of chapter 15, diffusion, in the files of the checks."""
