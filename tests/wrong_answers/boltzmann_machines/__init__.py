"""Wrong answers to the exercises of chapter 5, Boltzmann machines, in the files of the checks."""
