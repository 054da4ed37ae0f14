"""Objectives: pure functions from the log-probs of named views to a loss.

One module each, and its file name is its name. It holds

    VIEWS                       names of the views it needs, modules of baselines.views
    Config                      frozen dataclass; the defaults are the paper's. `order` is how the trainer walks the pairs
    loss(scored, config)        -> Loss
    loss_at_start(config)       the mean loss while policy and reference are one, or None where that is not fixed
    online_loss(...)            only where the objective also learns from the policy's own rollouts, see mbpo
"""

EXTRAS = dict.fromkeys(("dpo", "dpo_anchor", "mbpo", "mdpo", "mfpo", "sft"), "train")
