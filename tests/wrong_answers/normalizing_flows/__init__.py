"""Wrong answers to the exercises of chapter 10, normalizing flows, in the files of the checks."""
