"""Preference pairs: the layouts people have, checks, hashes, order; closed questions."""
