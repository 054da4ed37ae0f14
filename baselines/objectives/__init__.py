"""Objectives: pure functions from the log-probs of named views to a loss.

One module each, and its file name is its name. It holds

    VIEWS                       names of the views it needs, modules of baselines.views
    Config                      frozen dataclass of its settings; the defaults are the paper's. `order`: of the pairs
    loss(scored, config)        -> Loss
    loss_at_start(config)       the mean loss while policy and reference are the same model, None if that is not fixed
    online_loss(...)            only if the objective also learns from the policy's own answers, see mbpo
"""

EXTRA = "hf"
"""The extra that all of them need: halbench[hf]."""
