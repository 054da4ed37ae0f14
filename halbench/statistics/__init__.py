"""Intervals and paired tests over counts, with the cluster as the unit that is resampled."""
