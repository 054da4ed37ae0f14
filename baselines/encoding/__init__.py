"""From pairs to log-probs: tokens, padded batches, the packed forward pass, and the cached reference."""
