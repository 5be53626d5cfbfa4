"""Mass fitters, one a file: each returns the prior-free likelihood of one halo."""
