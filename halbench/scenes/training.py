"""How a checkpoint of the embedded world is made, from random weights, in two stages.

1. Sight: the vision tower and the projector learn to say of each cell what lies in it, by the cosine between the cell's
   projected feature and the word embeddings. The word for a thing and the sight of it so begin alike.
2. Speech: the language model learns descriptions and answers from biased annotators (see captions.py) while the frozen
   features of all scenes are kept. Everything said of one scene is packed behind one image, each piece blind to the others.

Because annotators name partners that are not there, the model's hallucinations come from its prior over what goes with
what, not from poor sight. The same recipe and number of threads give the same weights.
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
from halbench.scenes.checkpoint import EMPTY, Sizes, build_model, build_processor, pixel_values
from halbench.scenes.drawing import draw_scene
from halbench.scenes.world import Scene, WorldParameters, absent_partners, plural, sample_scenes

IGNORED = -100
PADDING = -1
DESCRIPTION = 1  # the branch of a scene's description

ASKED: tuple[Kind, ...] = (
    *("present", "absent_random"),
    *("colour", "colour"),
    *("count", "count"),
    *("relation", "relation"),
)
"""Questions to each scene, beside those on absent partners."""
OPEN = ("colour", "count", "relation")
"""Kinds that are also asked for the word itself."""

Progress = Callable[[Sequence[int], str], Iterator[int]]
"""(steps, what is done) -> the steps, while somebody is told about it."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, beside the world. rate: peak learning rate.

    scenes: training scenes that both stages draw from. probed: unseen scenes on which sight is measured. open_shares: share
    of colour, count and relation questions that ask for the word itself, in the `early` part of the steps and after it.
    """

    seed: int = 0
    sizes: Sizes = field(default_factory=Sizes)
    scenes: int = 16_000
    probed: int = 200
    sight_steps: int = 250
    sight_batch: int = 96
    sight_rate: float = 1.5e-3
    speech_steps: int = 4_500
    speech_batch: int = 16
    speech_rate: float = 1.5e-3
    warm_up: int = 100
    weight_decay: float = 0.02
    open_shares: tuple[float, float] = (0.6, 0.1)
    early: float = 0.4


@dataclass(frozen=True)
class Trained:
    """A finished checkpoint in memory. losses: of each speech step, nats per token. sight: share of cells of unseen
    scenes whose class is read rightly."""

    model: LlavaForConditionalGeneration
    processor: LlavaProcessor
    losses: Sequence[float]
    sight: float


@dataclass(frozen=True)
class Packed:
    """Scenes with all that is said of them. ids, labels, positions [B, T]; labels are IGNORED but on answers.

    branches [B, T]: 0 for the image and what stands before it, else the number of the piece, PADDING behind the last.
    """

    ids: torch.Tensor
    labels: torch.Tensor
    positions: torch.Tensor
    branches: torch.Tensor

    def mask(self) -> torch.Tensor:
        """[B, 1, T, T], True where a token (row) sees another (column): the image, and what came before in its piece."""
        rows, columns = self.branches[:, :, None], self.branches[:, None, :]
        return ((columns == 0) | (columns == rows)).tril()[:, None]


def train(parameters: WorldParameters, recipe: Recipe, progress: Progress) -> Trained:
    """Both stages, from nothing."""
    with torch.random.fork_rng([]):
        torch.manual_seed(recipe.seed)
        processor = build_processor(parameters)
        model = build_model(parameters, recipe.sizes, processor.tokenizer)
        scenes = sample_scenes(parameters, recipe.seed, "training", progress(range(recipe.scenes), "laying out scenes"))
        learn_to_see(model, processor, scenes, parameters, recipe, progress)
        unseen = sample_scenes(parameters, recipe.seed, "evaluation", range(recipe.probed))
        sight = cell_accuracy(model, processor, unseen, parameters)
        features = cell_features(model, processor, scenes, parameters)
        losses = learn_to_speak(model, processor, scenes, features, parameters, recipe, progress)
    return Trained(model, processor, losses, sight)


def schedule(step: int, steps: int, warm_up: int) -> float:
    """Share of the peak learning rate: a linear warm-up, then half a cosine down to a twentieth."""
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
    return pixel_values(processor, [draw_scene(scene, parameters) for scene in scenes])


def project(model: LlavaForConditionalGeneration, pixels: torch.Tensor) -> torch.Tensor:
    """What the language model is given of images: [B, cells, width]."""
    return torch.stack(list(model.model.get_image_features(pixel_values=pixels).pooler_output))


@dataclass(frozen=True)
class CellWords:
    """Token ids of what may be said of a cell. singular and plural stand in the same order; EMPTY is the last."""

    singular: torch.Tensor
    plural: torch.Tensor
    colours: torch.Tensor


def cell_words(processor: LlavaProcessor, parameters: WorldParameters) -> CellWords:
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


def likeness(features: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
    """Cosines to each word times a constant that lets a softmax be sure: [B, cells, words]."""
    return 24.0 * functional.normalize(features, dim=-1) @ functional.normalize(embeddings, dim=-1).T


def learn_to_see(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    scenes: Sequence[Scene],
    parameters: WorldParameters,
    recipe: Recipe,
    progress: Progress,
) -> None:
    """Stage 1. A second reading of the features, thrown away afterwards, asks where the cell is.

    It is too weak beside CLIP's small position embeddings: a linear probe finds no place in the finished features of
    objects, and so relations stay at chance. It is part of the recipe all the same, which the shipped weights follow.
    """
    words, cells = cell_words(processor, parameters), parameters.grid**2
    table = model.get_input_embeddings().weight
    place = torch.nn.Linear(recipe.sizes.width, cells)
    random = np.random.default_rng([recipe.seed, 1])

    def loss_of(step: int) -> torch.Tensor:
        batch = [scenes[index] for index in random.integers(len(scenes), size=recipe.sight_batch)]
        features = project(model, images_of(batch, processor, parameters))
        classes, colours = (target.flatten() for target in cell_targets(batch, parameters))
        where = torch.arange(cells).repeat(len(batch))
        named = [
            functional.cross_entropy(likeness(features, table[ids]).flatten(0, 1), target, ignore_index=IGNORED)
            for ids, target in ((words.singular, classes), (words.plural, classes), (words.colours, colours))
        ]
        return sum(named) + 0.3 * functional.cross_entropy(place(features).flatten(0, 1), where)

    weights = [
        *model.model.vision_tower.parameters(),
        *model.model.multi_modal_projector.parameters(),
        table,
        *place.parameters(),
    ]
    optimise(
        weights,
        loss_of,
        progress(range(recipe.sight_steps), "learning to see"),
        recipe.sight_steps,
        recipe.sight_rate,
        recipe,
    )


@torch.inference_mode()
def cell_accuracy(model: Any, processor: LlavaProcessor, scenes: Sequence[Scene], parameters: WorldParameters) -> float:
    """Share of the cells that hold an object whose class and colour are both read rightly."""
    words, table = cell_words(processor, parameters), model.get_input_embeddings().weight
    features = project(model, images_of(scenes, processor, parameters))
    classes, colours = cell_targets(scenes, parameters)
    right = (likeness(features, table[words.singular]).argmax(-1) == classes) & (
        likeness(features, table[words.colours]).argmax(-1) == colours
    )
    return float(right[colours != IGNORED].float().mean())


@torch.inference_mode()
def cell_features(
    model: Any, processor: LlavaProcessor, scenes: Sequence[Scene], parameters: WorldParameters
) -> torch.Tensor:
    """Features of all scenes, [N, cells, width]; half precision, which is what their memory allows."""
    parts = [scenes[start : start + 256] for start in range(0, len(scenes), 256)]
    return torch.cat([project(model, images_of(part, processor, parameters)).half() for part in parts])


def exchanges(
    scene: Scene, parameters: WorldParameters, open_share: float, random: np.random.Generator
) -> list[tuple[str, str]]:
    """(prompt, answer) pairs as one annotator gives them: a description, and questions of every kind."""
    pairs = annotated(scene, parameters, random)
    prompt = str(random.choice(DESCRIPTION_PROMPTS, p=(0.6, 0.2, 0.2)))
    said = [(prompt, describe(scene.context, pairs, parameters, random))]
    for kind in ASKED:
        if kind in OPEN and random.random() < open_share:
            said.append(open_question(kind, scene, parameters, random))
        elif question := ask(kind, scene, parameters, random):
            said.append((question.text, question.answer.capitalize()))
    believed = {seen.name for pair in pairs for seen in pair}
    for association in absent_partners(scene, parameters)[:2]:
        text = existence("absent_partner", association.partner).text
        said.append((text, "Yes" if association.partner in believed else "No"))
    return said


def open_question(
    kind: Kind, scene: Scene, parameters: WorldParameters, random: np.random.Generator
) -> tuple[str, str]:
    """A question for the word itself. What yes and no need is learnt sooner from these: to find a thing, and to read off
    its colour, its number, its place."""
    thing = scene.objects[int(random.integers(len(scene.objects)))]
    count = scene.counts()[thing.name]
    if kind == "colour":
        things = thing.name if count == 1 else plural(thing.name)
        return f"What colour {'is' if count == 1 else 'are'} the {things}?", thing.colour.capitalize()
    if kind == "count" or count > 1:
        return f"How many {plural(thing.name)} are there?", NUMBERS[count].capitalize()
    return f"In which column is the {thing.name}?", NUMBERS[thing.cell % parameters.grid + 1].capitalize()


def pack(said: Sequence[Sequence[tuple[str, str]]], processor: LlavaProcessor, cells: int) -> Packed:
    """Token rows, one a scene, with the same text that the chat template makes of each exchange."""
    tokenizer = processor.tokenizer
    head = tokenizer.encode(f"USER: {processor.image_token}\n", add_special_tokens=False)
    image = head.index(processor.image_token_id)
    head = head[:image] + [processor.image_token_id] * cells + head[image + 1 :]
    flat = [
        part
        for row in said
        for prompt, answer in row
        for part in (f"{prompt} ASSISTANT:", f" {answer}{tokenizer.eos_token}")
    ]
    tokens = iter(tokenizer(flat, add_special_tokens=False)["input_ids"])
    columns: list[list[list[int]]] = []
    for row in said:
        ids, labels, positions, branches = list(head), [IGNORED] * len(head), list(range(len(head))), [0] * len(head)
        for number in range(1, len(row) + 1):
            prompt, answer = next(tokens), next(tokens)
            length = len(prompt) + len(answer)
            ids += prompt + answer
            labels += [IGNORED] * len(prompt) + answer
            positions += range(len(head), len(head) + length)
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
    """Nats of each answer token of a packed batch, and the piece each belongs to; both [tokens]."""

    nats: torch.Tensor
    branch: torch.Tensor


def answer_losses(model: LlavaForConditionalGeneration, packed: Packed, features: torch.Tensor) -> AnswerLosses:
    """How badly answers are foretold, given the features of each row's image, [B, cells, width]."""
    embeddings = model.get_input_embeddings()(packed.ids)
    image = packed.ids == model.config.image_token_id
    embeddings = embeddings.masked_scatter(image[:, :, None], features.to(embeddings.dtype))
    hidden = model.model.language_model(
        inputs_embeds=embeddings, attention_mask=packed.mask(), position_ids=packed.positions, use_cache=False
    ).last_hidden_state
    following = packed.labels[:, 1:]
    answered = following != IGNORED
    nats = functional.cross_entropy(model.lm_head(hidden[:, :-1][answered]), following[answered], reduction="none")
    return AnswerLosses(nats, packed.branches[:, 1:][answered])


def learn_to_speak(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    scenes: Sequence[Scene],
    features: torch.Tensor,
    parameters: WorldParameters,
    recipe: Recipe,
    progress: Progress,
) -> list[float]:
    """Stage 2. Returns the losses. Each time a scene comes round, another annotator speaks of it."""
    random = np.random.default_rng([recipe.seed, 2])

    def loss_of(step: int) -> torch.Tensor:
        chosen = random.integers(len(scenes), size=recipe.speech_batch)
        share = recipe.open_shares[0] if step < recipe.speech_steps * recipe.early else recipe.open_shares[1]
        said = [exchanges(scenes[index], parameters, share, random) for index in chosen]
        packed = pack(said, processor, parameters.grid**2)
        losses = answer_losses(model, packed, features[torch.as_tensor(chosen)])
        # Answers are short: with one mean over all tokens they would be learnt late.
        described = losses.branch == DESCRIPTION
        return 0.5 * (losses.nats[described].mean() + losses.nats[~described].mean())

    weights = [*model.model.language_model.parameters()]
    steps = progress(range(recipe.speech_steps), "learning to speak")
    return optimise(weights, loss_of, steps, recipe.speech_steps, recipe.speech_rate, recipe)
