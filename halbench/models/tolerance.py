"""Up to which difference two ways to compute the same log-probs count as equal."""

import torch

# Mean over tokens, in nats. Batches of other shapes move float32 sums by about 1e-5 and bfloat16 ones by about 1e-2.
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.05, torch.float16: 0.02}
