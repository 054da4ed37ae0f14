"""Views: what a model is shown and which answer is scored, made from a pair.

One module each, and its file name is its name. It holds

    VERSION                   raise it when the same pair and seed give something else
    NEEDS                     the fields of variants.Tools without which it cannot work
    USES                      (optional) fields that it takes a model from when there
    make(pair, seed, tools)   -> Variant; depends on nothing else, so it is the same in any order and process
"""

EXTRAS = {"adversarial": "train", "mined_rejected": "train"}
