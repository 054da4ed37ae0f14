"""A model answers a suite: plan, generation, several processes."""
