"""Opening a model: checkpoints, their fingerprints, chat templates and images; servers."""
