"""Answers from a transformers checkpoint on this machine, batched here, with answers that do not depend on the order.

    halbench run --model ./checkpoint-500 --suite amber
    halbench run --model llava-hf/llava-1.5-7b-hf --suite pope --batch-size 32

Takes any `AutoModelForImageTextToText` checkpoint (LLaVA-1.5, LLaVA-NeXT, Qwen2-VL, Idefics3, SmolVLM ...) and any PEFT
adapter folder that can be merged into its base. Conventions:

- The prompt is the processor's own chat template: the images, if any, then the question. A checkpoint without a
  template, or with one that does not place as many images as an item shows, is refused: a guessed prompt format would
  change the numbers.
- Images are opened as RGB exactly as they are stored, as the official scripts do; EXIF rotation is not applied.
- Decoding is the suite's. Of the checkpoint's generation_config only the token ids are kept.
- `tokens` counts the generated tokens with the end token; finish is "stop" if the model ended the answer, else "length".
- Sampling (temperature > 0) runs one item at a time, each seeded from (seed, item id): the same text in any order.
  Greedy text in float32 does not depend on the batch either; in bfloat16 near ties can fall either way.
- Items on the same images share the forward pass over the prompt up to the question, if the first of them get the same
  log-probs that way (models/shared_prefix.py); a model for which they do not answers every prompt whole, and it is said why.
"""

import logging
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from threading import Lock
from typing import Any

import torch
from PIL import Image
from transformers import StoppingCriteria

from halbench.errors import InputError, did_you_mean, first_sentence
from halbench.files.records import content_hash
from halbench.models.chat_templates import check_image_counts, image_tokens, render, starts_with_bos
from halbench.models.checkpoints import Checkpoint, is_out_of_memory, open_checkpoint
from halbench.models.failures import MODEL_ERRORS, FailureStreak
from halbench.models.questions import Questions, open_questions, prepared_ahead
from halbench.models.shared_prefix import (
    Suffixes,
    attention_window,
    branch,
    can_share,
    cut_prefixes,
    disagreement,
    image_sets,
    question_suffixes,
)
from halbench.models.thought_budget import TokenBudget, text_of
from halbench.reasoning import opened_in
from halbench.types import DECODING, Backend, BackendOptions, Decoding, Item, Response

OPTIONS = ("base", "template_kwargs")

# What Decoding.extra may hold. The other arguments of generate() are fields of Decoding, or change what it returns.
GENERATION_ARGUMENTS = (
    *("bad_words_ids", "early_stopping", "eos_token_id", "epsilon_cutoff", "eta_cutoff", "length_penalty"),
    *("min_new_tokens", "min_p", "no_repeat_ngram_size", "renormalize_logits", "repetition_penalty"),
    *("suppress_tokens", "top_k", "typical_p"),
)

TRIED = 8  # items on which shared prefixes are tried
WINDOW = 16  # batches sorted together: enough for AMBER's descriptions, one item in 15, to fill their own batch
SMALL = 2e7  # parameters; for smaller models more threads gain nothing and, on a busy machine, mostly wait
BYTES_PER_ITEM = 2**30  # a 7B model's cache for 1,100 tokens is 0.55 GB in bfloat16; the first pass needs as much again

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """Model inputs for the items that can be asked, and error rows for the others.

    inputs: what the processor returned, one row per item; with suffixes, one row per set of images, cut before the question.
    opened: the tag of a thought with which the prompts end, "" if with none.
    """

    items: Sequence[Item]
    inputs: Any
    suffixes: Suffixes | None
    errors: Sequence[Response]
    opened: str = ""


def open_backend(model: str, options: BackendOptions) -> Backend:
    """The checkpoint folder, adapter folder or hub name `model`, ready to answer items."""
    checkpoint = open_checkpoint(model, options)
    if checkpoint.model.num_parameters() < SMALL and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    return HfBackend(checkpoint, options)


def generation_arguments(decoding: Decoding) -> dict[str, Any]:
    """Keyword arguments of generate(); every one that can change the text is stated."""
    for name in decoding.extra:
        if name not in GENERATION_ARGUMENTS:
            raise InputError(
                f"unknown generation argument '{name}'{did_you_mean(name, (*DECODING, *GENERATION_ARGUMENTS))}"
            )
    if decoding.num_beams > 1 and decoding.reasoning.max_reasoning_tokens is not None:
        raise InputError("--max-reasoning-tokens is for greedy decoding and sampling; set --gen-kwargs num_beams=1")
    sampling = decoding.temperature > 0
    return {
        "max_new_tokens": decoding.max_tokens(),
        "num_beams": decoding.num_beams,
        "do_sample": sampling,
        # transformers' own default of top_k is 50, which no suite publishes.
        **({"temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": 0} if sampling else {}),
        **decoding.extra,
    }


def first_batch_size(device: torch.device) -> int:
    """A power of two that probably fits, at most 64; too large a guess costs one failed batch."""
    if device.type != "cuda":
        return 8
    free, _ = torch.cuda.mem_get_info(device)
    return int(2 ** min(6, max(0, (free // BYTES_PER_ITEM).bit_length() - 1)))


class HfBackend:
    """types.Backend over a loaded checkpoint. `batch_size` shrinks when a batch does not fit in memory, and stays small."""

    def __init__(self, checkpoint: Checkpoint, options: BackendOptions) -> None:
        self.checkpoint = checkpoint
        self.model = checkpoint.model
        self.processor = checkpoint.processor
        # A copy: one fast tokenizer must not decode here while the other thread has set it up for padding.
        self.decoder = deepcopy(checkpoint.processor.tokenizer)
        self.seed = options.seed
        self.decoding = Decoding(max_new_tokens=1)  # of the present run
        self.batch_size = first_batch_size(self.model.device) if options.batch_size == "auto" else options.batch_size
        self.largest_batch_size = self.batch_size
        self.answer_tokens: dict[str, list[int]] = defaultdict(lambda: [0, 0])  # item group -> [tokens, answers]
        self.failures = FailureStreak()
        self.shares: bool | None = None  # whether prefixes can be shared; None until it was tried
        self.window = attention_window(self.model)
        self.preparing = Lock()  # one fast tokenizer must not be set up by two threads at once

    def identity(self) -> dict[str, str]:
        return dict(self.checkpoint.identity)

    def generate(self, items: Sequence[Item], decoding: Decoding) -> Iterator[Response]:
        """One response per item, batch by batch; the next batch is prepared while one is answered."""
        self.decoding, arguments = decoding, generation_arguments(decoding)
        check_image_counts(self.processor, self.checkpoint.template, items)
        share = (
            decoding.num_beams == 1
            and not arguments["do_sample"]
            and not decoding.extra  # repetition penalties and the like read the whole prompt
        )
        batches = self.batches(items, one_by_one=arguments["do_sample"])
        for batch, prepared in prepared_ahead(batches, partial(self.prepare, share=share)):
            yield from self.answer(batch, prepared, share, arguments)

    def batches(self, items: Sequence[Item], one_by_one: bool) -> Iterator[list[Item]]:
        """Items sorted by expected length of the answer, then by images, then by length of the prompt. Items with and
        without images never share a batch.

        A batch runs until its longest answer ends, so one description would hold up a batch of yes/no answers. How long
        the answers of a group are is learnt while the run goes on.
        """
        rest = list(items)
        while rest:
            size = 1 if one_by_one else self.batch_size
            window, rest = rest[: WINDOW * size], rest[WINDOW * size :]
            order = {images: index for index, images in enumerate(image_sets(window))}
            window.sort(key=lambda item: (self.expected_length(item.group), order[item.images], len(item.prompt)))
            while window:
                size = 1 if one_by_one else self.batch_size
                _, alike = next(groupby(window[:size], key=lambda item: bool(item.images)))
                batch = list(alike)
                yield batch
                del window[: len(batch)]

    def expected_length(self, group: str) -> int:
        """Number of bits of a group's mean answer length in tokens so far; 0 while unknown."""
        tokens, answers = self.answer_tokens[group]
        return (tokens // answers).bit_length() if answers else 0

    def prepare(self, items: Sequence[Item], share: bool) -> Batch:
        """Open the images, fill in the template and run the processor, all on the CPU."""
        questions = open_questions(items, image_tokens(self.processor))
        if not questions.items:
            return Batch([], None, None, questions.errors)
        template = self.checkpoint.template
        prompts = [render(self.processor, template, item.prompt, len(item.images)) for item in questions.items]
        with self.preparing:
            if share and self.shares is not False and can_share(self.processor, questions.items, prompts):
                inputs, suffixes = self.encode_shared(questions, prompts)
            else:
                inputs, suffixes = self.encode(prompts, questions.images), None
        opened = opened_in(prompts[0], self.decoding.reasoning.tags())
        return Batch(questions.items, inputs, suffixes, questions.errors, opened)

    def encode_shared(self, questions: Questions, prompts: Sequence[str]) -> tuple[Any, Suffixes | None]:
        """One row of inputs per set of images, and the questions behind them. Without suffixes, one row per item: where
        the processor does not leave the end of a prompt as the tokenizer makes it, nothing can be shared."""
        first = {item.images: index for index, item in reversed(list(enumerate(questions.items)))}
        sets = image_sets(questions.items)
        prefixes = self.encode([prompts[0]] * len(sets), [questions.images[first[images]] for images in sets])
        of_item = torch.tensor([sets.index(item.images) for item in questions.items])
        suffixes = question_suffixes(self.processor, prompts, of_item)
        if not cut_prefixes(prefixes, suffixes):
            return self.encode(prompts, questions.images), None
        return prefixes, suffixes

    def prefixes_hold(self, batch: Batch, arguments: Mapping[str, Any]) -> bool:
        """Whether this batch can be answered behind shared prefixes. The first batch decides it for the model."""
        assert batch.suffixes is not None
        length = batch.inputs["input_ids"].shape[1] + batch.suffixes.ids.shape[1] + arguments["max_new_tokens"]
        if self.window is not None and length > self.window:
            return False
        if self.shares is None:
            problem = self.sharing_problem(batch.items)
            self.shares = problem is None
            if problem is not None:
                log.warning("questions on one image do not share its forward pass with this model: %s", problem)
        return self.shares

    def sharing_problem(self, items: Sequence[Item]) -> str | None:
        """What differs if these items share prefixes, tried on a few of them; None if nothing does."""
        times = Counter(item.images for item in items)
        some = sorted(items, key=lambda item: -times[item.images])[:TRIED]
        whole, shared = self.prepare(some, share=False), self.prepare(some, share=True)
        if shared.suffixes is None:
            return None
        try:
            branched = branch(self.model, self.on_device(shared.inputs), shared.suffixes)
            return disagreement(self.model, self.on_device(whole.inputs), branched)
        except MODEL_ERRORS as error:
            if is_out_of_memory(error):
                raise
            return f"{type(error).__name__}: {first_sentence(error)}"

    def on_device(self, inputs: Any) -> Any:
        """Inputs where the model is, in its precision."""
        return inputs.to(self.model.device, self.model.dtype)

    def encode(self, prompts: Sequence[str], images: Sequence[list[Image.Image]]) -> Any:
        """What the processor makes of prompts and the images of each, left-padded."""
        return self.processor(
            text=list(prompts),
            **({"images": list(images)} if any(images) else {}),
            padding=True,
            return_tensors="pt",
            add_special_tokens=not starts_with_bos(self.processor.tokenizer, prompts[0]),
        )

    def answer(
        self, items: Sequence[Item], prepared: Callable[[], Batch], share: bool, arguments: Mapping[str, Any]
    ) -> Iterator[Response]:
        """One response per item. A batch that does not fit is halved; one that fails is repeated item by item."""
        step = self.batch_size
        if len(items) <= step:
            try:
                batch = prepared()
                rows = [*batch.errors, *self.run(batch, arguments)]
            except MODEL_ERRORS as error:
                out_of_memory, problem = is_out_of_memory(error), f"{type(error).__name__}: {first_sentence(error)}"
            else:
                yield from rows
                return
            # Outside the except block, whose traceback would keep the tensors of the failed batch alive.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if len(items) == 1 and out_of_memory:
                self.batch_size = self.largest_batch_size  # the item was to blame, not the size of its batch
                problem = "does not fit in memory even alone"
            if len(items) == 1:
                yield self.failures.error_row(items[0], problem)
                return
            step = (len(items) + 1) // 2 if out_of_memory else 1
            if out_of_memory:
                log.warning("batch size %d does not fit in memory; continuing with %d", len(items), step)
                self.batch_size = step
        for start in range(0, len(items), step):
            part = items[start : start + step]
            yield from self.answer(part, partial(self.prepare, part, share), share, arguments)

    @torch.inference_mode()
    def run(self, batch: Batch, arguments: Mapping[str, Any]) -> list[Response]:
        """Generate for a prepared batch."""
        if not batch.items:
            return []
        if batch.suffixes and not self.prefixes_hold(batch, arguments):
            batch = self.prepare(batch.items, share=False)
        device, inputs = self.model.device, self.on_device(batch.inputs)
        if batch.suffixes:
            inputs = branch(self.model, inputs, batch.suffixes)
        with torch.random.fork_rng([device] if device.type == "cuda" else [], enabled=arguments["do_sample"]):
            if arguments["do_sample"]:
                torch.manual_seed(int(content_hash([self.seed, batch.items[0].id]), 16))
            budgets = self.budgets(batch, inputs["input_ids"].shape[1])
            output = self.model.generate(**inputs, **arguments, stopping_criteria=budgets)
        new = output[:, inputs["input_ids"].shape[1] :].tolist()
        eos = arguments.get("eos_token_id", self.model.generation_config.eos_token_id)
        ends = set(eos if isinstance(eos, list) else [eos])
        self.failures.end()
        limits = budgets[0].used if budgets else [None] * len(new)
        return [
            self.response(item, row[:limit], ends, batch.opened)
            for item, row, limit in zip(batch.items, new, limits, strict=True)
        ]

    def budgets(self, batch: Batch, start: int) -> list["Budgets"]:
        """What stops each row of a batch at its budget; [] where one budget holds for thoughts and answer. start: tokens of
        the prompts."""
        thoughts = self.decoding.reasoning.max_reasoning_tokens
        if thoughts is None:
            return []
        limits = (thoughts, self.decoding.max_new_tokens)
        tags = self.decoding.reasoning.tags()
        rows = [TokenBudget(self.decoder, tags, bool(batch.opened), *limits) for _ in batch.items]
        return [Budgets(rows, start)]

    def response(self, item: Item, row: list[int], ends: set[int | None], opened: str = "") -> Response:
        """The text of one row of new tokens up to its first end token; what follows is padding. opened: the tag of a thought
        that the prompt has opened."""
        length = next((index + 1 for index, token in enumerate(row) if token in ends), None)
        text = text_of(self.decoder, row[:length], self.decoding.reasoning.tags())
        tokens = length or len(row)
        self.answer_tokens[item.group][0] += tokens
        self.answer_tokens[item.group][1] += 1
        return Response(item.id, opened + text, tokens, "stop" if length else "length", "ok" if text else "empty")


class Budgets(StoppingCriteria):  # type: ignore[misc]
    """Ends the rows of a batch one by one. used: tokens at which a row's budget was used up, None if it was not. start: tokens
    of the prompts."""

    def __init__(self, rows: Sequence[TokenBudget], start: int) -> None:
        self.rows, self.start = rows, start
        self.used: list[int | None] = [None] * len(rows)

    def __call__(self, input_ids: torch.Tensor, scores: Any, **others: Any) -> torch.Tensor:
        length = input_ids.shape[1] - self.start
        for index, (budget, token) in enumerate(zip(self.rows, input_ids[:, -1].tolist(), strict=True)):
            if self.used[index] is None and budget.feed(token):
                self.used[index] = length
        return torch.tensor([used is not None for used in self.used], device=input_ids.device)
