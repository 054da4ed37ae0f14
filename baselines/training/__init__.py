"""Training: recipes, preparation, one trainer for all objectives, proof of the data."""
