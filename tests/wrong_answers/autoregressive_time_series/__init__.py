"""Wrong answers to the exercises of chapter 11, autoregressive time series, in the files of the checks."""
