"""Views: what a model is shown and which answer is scored, made from a pair.

One module each, and its file name is its name. It holds

    VERSION                   raise it when the same pair and seed give something else
    NEEDS                     the fields of view_tools.tools.Tools that it cannot work without
    USES                      (optional) fields whose model it uses if there is one
    make(pair, seed, tools)   -> Variant; depends on nothing else, so it is the same in any order and process
"""

EXTRA = "hf"
"""The extra that all of them need: halbench[hf]."""
