"""Wrong answers to the exercises of chapter 12, autoregressive models of images, in the files of the checks."""
