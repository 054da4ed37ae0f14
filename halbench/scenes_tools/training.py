"""Training a checkpoint of the embedded world, from random weights, in two stages.

1. Sight: the vision tower and the projector learn which object is in each cell, by the cosine between the cell's projected
   feature and the word embeddings. So an object's feature starts out close to its word.
2. Speech: the language model learns descriptions and answers from biased annotators (see captions.py), on the frozen
   features of all scenes. All texts about a scene are packed after one image, and do not see each other.

Because annotators mention partners that are not in the image, the model's hallucinations come from its prior over which
objects go together, not from poor sight. The same recipe and number of threads give the same weights.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from halbench.scenes.captions import DESCRIPTION_PROMPTS, NUMBERS, Kind, annotated, ask, describe, existence
from halbench.scenes.drawing import draw_scene
from halbench.scenes.world import Scene, WorldParameters, absent_partners, plural, sample_scenes
from halbench.scenes_tools.checkpoint import EMPTY, Sizes, build_model, build_processor, pixel_values
from halbench.terminal.progress import tracked

IGNORED = -100
PADDING = -1
DESCRIPTION = 1  # the branch of a scene's description

QUESTION_KINDS: tuple[Kind, ...] = (
    *("present", "absent_random"),
    *("colour", "colour"),
    *("count", "count"),
    *("relation", "relation"),
)
"""Kinds of questions about each scene; questions about absent partners come in addition."""
OPEN = ("colour", "count", "relation")
"""Kinds that are also asked as open questions, whose answer is the word itself."""


@dataclass(frozen=True)
class Recipe:
    """Everything but the world that determines the weights. rate: peak learning rate.

    scenes: training scenes of both stages. eval_scenes: unseen scenes on which the vision tower is probed. open_shares: share of open
    questions among those on colour, count and relation, in the first part of the steps (the share `early_fraction`) and after it.
    """

    seed: int = 0
    sizes: Sizes = field(default_factory=Sizes)
    scenes: int = 16_000
    eval_scenes: int = 200
    vision_steps: int = 250
    vision_batch: int = 96
    vision_rate: float = 1.5e-3
    language_steps: int = 4_500
    language_batch: int = 16
    language_rate: float = 1.5e-3
    warm_up: int = 100
    weight_decay: float = 0.02
    open_shares: tuple[float, float] = (0.6, 0.1)
    early_fraction: float = 0.4


@dataclass(frozen=True)
class Trained:
    """A trained checkpoint in memory. losses: of each speech step, nats per token. sight: share of the objects in unseen
    scenes whose class and colour are read correctly."""

    model: LlavaForConditionalGeneration
    processor: LlavaProcessor
    losses: Sequence[float]
    sight: float


@dataclass(frozen=True)
class Packed:
    """Scenes with all their texts. ids, labels, positions [B, T]; labels are IGNORED except on answers.

    branches [B, T]: 0 up to the end of the image, then the number of each text, PADDING after the last.
    """

    ids: torch.Tensor
    labels: torch.Tensor
    positions: torch.Tensor
    branches: torch.Tensor

    def mask(self) -> torch.Tensor:
        """[B, 1, T, T], True where a token (row) sees another (column): the image, and earlier tokens of its own text."""
        rows, columns = self.branches[:, :, None], self.branches[:, None, :]
        return ((columns == 0) | (columns == rows)).tril()[:, None]


def train(parameters: WorldParameters, recipe: Recipe) -> Trained:
    """Both stages, from random weights."""
    with torch.random.fork_rng([]):
        torch.manual_seed(recipe.seed)
        processor = build_processor(parameters)
        model = build_model(parameters, recipe.sizes, processor.tokenizer)
        scenes = sample_scenes(parameters, recipe.seed, "training", tracked(range(recipe.scenes), "drawing scenes"))
        learn_to_see(model, processor, scenes, parameters, recipe)
        unseen = sample_scenes(parameters, recipe.seed, "evaluation", range(recipe.eval_scenes))
        sight = cell_accuracy(model, processor, unseen, parameters)
        features = cell_features(model, processor, scenes, parameters)
        losses = learn_to_speak(model, processor, scenes, features, parameters, recipe)
    return Trained(model, processor, losses, sight)


def schedule(step: int, steps: int, warm_up: int) -> float:
    """Share of the peak learning rate: a linear warm-up, then half a cosine down to 5 %."""
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def optimise(
    weights: Sequence[torch.nn.Parameter],
    loss_of: Callable[[int], torch.Tensor],
    steps: Iterator[int],
    total: int,
    rate: float,
    recipe: Recipe,
) -> list[float]:
    """AdamW over the steps; loss_of(step) -> loss. Returns the losses."""
    optimiser = torch.optim.AdamW(weights, lr=rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay)
    losses = []
    for step in steps:
        for group in optimiser.param_groups:
            group["lr"] = rate * schedule(step, total, recipe.warm_up)
        optimiser.zero_grad()
        loss = loss_of(step)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        losses.append(loss.item())
    return losses


def images_of(scenes: Sequence[Scene], processor: LlavaProcessor, parameters: WorldParameters) -> torch.Tensor:
    """Pixels of scenes, [B, 3, H, W]."""
    return pixel_values(processor, [draw_scene(scene, parameters) for scene in scenes])


def project(model: LlavaForConditionalGeneration, pixels: torch.Tensor) -> torch.Tensor:
    """Image features as the language model gets them, [B, cells, width]."""
    return torch.stack(list(model.model.get_image_features(pixel_values=pixels).pooler_output))


@dataclass(frozen=True)
class CellWords:
    """Token ids of the words for a cell. singular and plural are in the same order, with EMPTY last."""

    singular: torch.Tensor
    plural: torch.Tensor
    colours: torch.Tensor


def cell_words(processor: LlavaProcessor, parameters: WorldParameters) -> CellWords:
    """The words for a cell in this world."""

    def ids(words: Sequence[str]) -> torch.Tensor:
        return torch.tensor([processor.tokenizer.encode(f" {word}", add_special_tokens=False)[0] for word in words])

    names = parameters.classes
    return CellWords(ids([*names, EMPTY]), ids([*map(plural, names), EMPTY]), ids(parameters.colours))


def cell_targets(scenes: Sequence[Scene], parameters: WorldParameters) -> tuple[torch.Tensor, torch.Tensor]:
    """Class and colour indices, [B, cells]; an empty cell has the class after the last and the colour IGNORED."""
    cells = parameters.grid**2
    classes = torch.full((len(scenes), cells), len(parameters.classes))
    colours = torch.full((len(scenes), cells), IGNORED)
    for row, scene in enumerate(scenes):
        for thing in scene.objects:
            classes[row, thing.cell] = parameters.classes.index(thing.name)
            colours[row, thing.cell] = parameters.colours.index(thing.colour)
    return classes, colours


def word_logits(features: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
    """Logits of each word, [B, cells, words]: cosines times a constant that lets the softmax get close to 1."""
    return 24.0 * functional.normalize(features, dim=-1) @ functional.normalize(embeddings, dim=-1).T


def learn_to_see(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    scenes: Sequence[Scene],
    parameters: WorldParameters,
    recipe: Recipe,
) -> None:
    """Stage 1. A linear head, discarded afterwards, also learns the position of each cell from its feature.

    This does not suffice against CLIP's small position embeddings: a linear probe finds no position in the final features
    of objects, and so relations stay at chance. It remains in the recipe, because the shipped weights were trained so.
    """
    words, cells = cell_words(processor, parameters), parameters.grid**2
    table = model.get_input_embeddings().weight
    position_head = torch.nn.Linear(recipe.sizes.width, cells)
    random = np.random.default_rng([recipe.seed, 1])

    def loss_of(step: int) -> torch.Tensor:
        batch = [scenes[index] for index in random.integers(len(scenes), size=recipe.vision_batch)]
        features = project(model, images_of(batch, processor, parameters))
        classes, colours = (target.flatten() for target in cell_targets(batch, parameters))
        positions = torch.arange(cells).repeat(len(batch))
        word_losses = [
            functional.cross_entropy(word_logits(features, table[ids]).flatten(0, 1), target, ignore_index=IGNORED)
            for ids, target in ((words.singular, classes), (words.plural, classes), (words.colours, colours))
        ]
        return sum(word_losses) + 0.3 * functional.cross_entropy(position_head(features).flatten(0, 1), positions)

    weights = [
        *model.model.vision_tower.parameters(),
        *model.model.multi_modal_projector.parameters(),
        table,
        *position_head.parameters(),
    ]
    optimise(
        weights,
        loss_of,
        tracked(range(recipe.vision_steps), "training the vision tower"),
        recipe.vision_steps,
        recipe.vision_rate,
        recipe,
    )


@torch.inference_mode()
def cell_accuracy(model: Any, processor: LlavaProcessor, scenes: Sequence[Scene], parameters: WorldParameters) -> float:
    """Share of the objects whose class and colour are both read correctly."""
    words, table = cell_words(processor, parameters), model.get_input_embeddings().weight
    features = project(model, images_of(scenes, processor, parameters))
    classes, colours = cell_targets(scenes, parameters)
    correct = (word_logits(features, table[words.singular]).argmax(-1) == classes) & (
        word_logits(features, table[words.colours]).argmax(-1) == colours
    )
    return float(correct[colours != IGNORED].float().mean())


@torch.inference_mode()
def cell_features(
    model: Any, processor: LlavaProcessor, scenes: Sequence[Scene], parameters: WorldParameters
) -> torch.Tensor:
    """Features of all scenes, [N, cells, width], in half precision to fit into memory."""
    parts = [scenes[start : start + 256] for start in range(0, len(scenes), 256)]
    return torch.cat([project(model, images_of(part, processor, parameters)).half() for part in parts])


def exchanges(
    scene: Scene, parameters: WorldParameters, open_share: float, random: np.random.Generator
) -> list[tuple[str, str]]:
    """(prompt, answer) pairs of one annotator: a description, and questions of every kind."""
    pairs = annotated(scene, parameters, random)
    prompt = str(random.choice(DESCRIPTION_PROMPTS, p=(0.6, 0.2, 0.2)))
    texts = [(prompt, describe(scene.context, pairs, parameters, random))]
    for kind in QUESTION_KINDS:
        if kind in OPEN and random.random() < open_share:
            texts.append(open_question(kind, scene, parameters, random))
        elif question := ask(kind, scene, parameters, random):
            texts.append((question.text, question.answer.capitalize()))
    described = {thing.name for pair in pairs for thing in pair}
    for association in absent_partners(scene, parameters)[:2]:
        text = existence("absent_partner", association.partner).text
        texts.append((text, "Yes" if association.partner in described else "No"))
    return texts


def open_question(
    kind: Kind, scene: Scene, parameters: WorldParameters, random: np.random.Generator
) -> tuple[str, str]:
    """A question whose answer is the word itself. From these the model learns faster what it needs for yes and no: to find
    an object and to read its colour, count and position."""
    thing = scene.objects[int(random.integers(len(scene.objects)))]
    count = scene.counts()[thing.name]
    if kind == "colour":
        things = thing.name if count == 1 else plural(thing.name)
        return f"What colour {'is' if count == 1 else 'are'} the {things}?", thing.colour.capitalize()
    if kind == "count" or count > 1:
        return f"How many {plural(thing.name)} are there?", NUMBERS[count].capitalize()
    return f"In which column is the {thing.name}?", NUMBERS[thing.cell % parameters.grid + 1].capitalize()


def pack(texts: Sequence[Sequence[tuple[str, str]]], processor: LlavaProcessor, cells: int) -> Packed:
    """The (prompt, answer) pairs of each scene as one row of tokens, with the text that the chat template writes for each."""
    tokenizer = processor.tokenizer
    prefix = tokenizer.encode(f"USER: {processor.image_token}\n", add_special_tokens=False)
    image = prefix.index(processor.image_token_id)
    prefix = prefix[:image] + [processor.image_token_id] * cells + prefix[image + 1 :]
    flat = [
        part
        for row in texts
        for prompt, answer in row
        for part in (f"{prompt} ASSISTANT:", f" {answer}{tokenizer.eos_token}")
    ]
    tokens = iter(tokenizer(flat, add_special_tokens=False)["input_ids"])
    columns: list[list[list[int]]] = []
    for row in texts:
        start = len(prefix)
        ids, labels, positions, branches = list(prefix), [IGNORED] * start, list(range(start)), [0] * start
        for number in range(1, len(row) + 1):
            prompt, answer = next(tokens), next(tokens)
            length = len(prompt) + len(answer)
            ids += prompt + answer
            labels += [IGNORED] * len(prompt) + answer
            positions += range(start, start + length)
            branches += [number] * length
        columns.append([ids, labels, positions, branches])
    fills = (tokenizer.pad_token_id, IGNORED, 0, PADDING)
    longest = max(len(column[0]) for column in columns)
    return Packed(
        *(
            torch.tensor([column[part] + [fill] * (longest - len(column[part])) for column in columns])
            for part, fill in enumerate(fills)
        )
    )


@dataclass(frozen=True)
class AnswerLosses:
    """Loss of each answer token of a packed batch in nats, and the text that it belongs to; both [tokens]."""

    nats: torch.Tensor
    branch: torch.Tensor


def answer_losses(model: LlavaForConditionalGeneration, packed: Packed, features: torch.Tensor) -> AnswerLosses:
    """The losses of answers. features: of each row's image, [B, cells, width]."""
    embeddings = model.get_input_embeddings()(packed.ids)
    image = packed.ids == model.config.image_token_id
    embeddings = embeddings.masked_scatter(image[:, :, None], features.to(embeddings.dtype))
    hidden = model.model.language_model(
        inputs_embeds=embeddings, attention_mask=packed.mask(), position_ids=packed.positions, use_cache=False
    ).last_hidden_state
    targets = packed.labels[:, 1:]
    scored = targets != IGNORED
    nats = functional.cross_entropy(model.lm_head(hidden[:, :-1][scored]), targets[scored], reduction="none")
    return AnswerLosses(nats, packed.branches[:, 1:][scored])


def learn_to_speak(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    scenes: Sequence[Scene],
    features: torch.Tensor,
    parameters: WorldParameters,
    recipe: Recipe,
) -> list[float]:
    """Stage 2. Returns the losses. Each time a scene is drawn, another annotator describes it."""
    random = np.random.default_rng([recipe.seed, 2])

    def loss_of(step: int) -> torch.Tensor:
        indices = random.integers(len(scenes), size=recipe.language_batch)
        share = recipe.open_shares[0] if step < recipe.language_steps * recipe.early_fraction else recipe.open_shares[1]
        texts = [exchanges(scenes[index], parameters, share, random) for index in indices]
        packed = pack(texts, processor, parameters.grid**2)
        losses = answer_losses(model, packed, features[torch.as_tensor(indices)])
        # Two means, because answers are short: with one mean over all tokens they would be learnt late.
        is_description = losses.branch == DESCRIPTION
        return 0.5 * (losses.nats[is_description].mean() + losses.nats[~is_description].mean())

    weights = [*model.model.language_model.parameters()]
    steps = tracked(range(recipe.language_steps), "training the language model")
    return optimise(weights, loss_of, steps, recipe.language_steps, recipe.language_rate, recipe)
