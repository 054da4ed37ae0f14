"""The terms of objectives: pure functions of log-probs."""
