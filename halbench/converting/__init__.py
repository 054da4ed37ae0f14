"""From checkpoints in the format of LLaVA's own code to checkpoints that transformers opens."""
