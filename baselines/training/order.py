"""The order in which a recipe trains the pairs."""

from collections.abc import Sequence

from baselines.encoding.reference import PairInfo
from baselines.pairs import ordering
from baselines.training.open_objective import Objective
from baselines.training.recipes import Recipe
from halbench.errors import InputError, did_you_mean


def training_order(
    recipe: Recipe, objective: Objective, infos: Sequence[PairInfo], used: Sequence[int]
) -> list[list[int]]:
    """Pair indices of every epoch, in whole steps, up to the recipe's last step. used: indices of the pairs to train
    on."""
    steps = [ordering.whole_steps(epoch, recipe.batch_size) for epoch in epochs(recipe, objective, infos, used)]
    return ordering.first_pairs(steps, recipe.max_steps and recipe.max_steps * recipe.batch_size)


def epochs(recipe: Recipe, objective: Objective, infos: Sequence[PairInfo], used: Sequence[int]) -> list[list[int]]:
    """Pair indices of every epoch."""
    order = str(recipe.order or getattr(objective.config, "order", "shuffled"))
    if order == "shuffled":
        indices = ordering.shuffled(len(used), recipe.epochs, recipe.seed)
    elif order == "curriculum":
        difficulty = [infos[index].entropy for index in used]
        if any(value is None for value in difficulty):
            raise InputError(
                "a curriculum ranks pairs by the entropy of view 'chosen', which this objective does not use"
            )
        indices = ordering.curriculum([value or 0.0 for value in difficulty], recipe.epochs, recipe.seed)
    else:
        raise InputError(f"order '{order}'{did_you_mean(order, ('shuffled', 'curriculum'))}")
    return [[used[index] for index in epoch] for epoch in indices]
