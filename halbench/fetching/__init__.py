"""Getting the suites' data: downloads, archives, built files."""
