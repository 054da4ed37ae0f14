"""Training on preference pairs: one trainer for all objectives, on transformers.Trainer.

    trained = train(plan, progress.on_stderr)       # the folder that it writes: see training_folder.py

In order: read pairs, make every view once and compute the reference log-probs that are not cached yet, fix the order of
all epochs, train. The trainer knows no objective's name: it hands over log-probs of the views that the objective names.
"""

import importlib.metadata
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import MISSING, Field, asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
import transformers
from torch.utils.data import DataLoader, Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from baselines import adaptation, identity, ordering, preflight, training_folder
from baselines.adversary import ReferenceModel
from baselines.collation import Encoder, Example, collate, on_device, places
from baselines.collation import Sequence as TokenSequence
from baselines.logprobs import PACKED, Tokens, by_view, scoring
from baselines.noise import model_pixels
from baselines.preferences import PreferenceSet, read_pairs
from baselines.progress import Advance, Show
from baselines.questions import questions_hash, read_questions
from baselines.recipes import Recipe, TrainingPlan, default_cache
from baselines.reference import ReferenceCache, Surveyed, reference_values, survey, weights_hash
from baselines.rollouts import OnlineLoss, Rollouts, described
from baselines.types import Loss, Pair, Scored
from baselines.variants import Tools, make_variant, open_tools, open_view, used_models, with_detection
from baselines.watch import Watch, observed
from halbench import plugins
from halbench.backends.hf import Checkpoint, check_source, fingerprint, first_sentence, open_checkpoint
from halbench.datasets import open_data
from halbench.errors import InputError, did_you_mean
from halbench.records import dumps, file_hash
from halbench.scenes import PREFIX, checkpoint_path
from halbench.types import BackendOptions


@dataclass(frozen=True)
class Objective:
    """A loaded objective: see baselines/objectives."""

    name: str
    views: tuple[str, ...]
    config: Any
    loss: Callable[[Scored, Any], Loss]
    loss_at_start: Callable[[Any], float | None]
    online_loss: OnlineLoss | None = None


def open_objective(name: str, values: Mapping[str, Any]) -> Objective:
    """The objective `name` (or a path to a .py file) with these fields of its Config."""
    module = plugins.load("baselines.objectives", name)
    known = {setting.name: setting for setting in fields(module.Config)}
    for key in values:
        if key not in known:
            raise InputError(f"objective '{name}' has no setting '{key}'{did_you_mean(key, known)}")
    config = module.Config(**{key: setting_value(known[key], value) for key, value in values.items()})
    return Objective(
        name, tuple(module.VIEWS), config, module.loss, module.loss_at_start, getattr(module, "online_loss", None)
    )


def setting_value(setting: Field[Any], value: Any) -> Any:
    """A value as its field of a Config wants it, judged by the field's default."""
    if isinstance(setting.default, float) and type(value) in (int, float):
        return float(value)
    if setting.default is not MISSING and type(value) is not type(setting.default):
        raise InputError(f"setting '{setting.name}': expected {type(setting.default).__name__}, found {value!r}")
    return value


class PairViews(Dataset[Example]):
    """The pairs as Examples with all views, made anew each time they are asked for."""

    def __init__(self, pairs: Sequence[Pair], views: Sequence[str], seed: int, tools: Tools, encoder: Encoder) -> None:
        self.pairs, self.views, self.seed, self.tools, self.encoder = pairs, views, seed, tools, encoder

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Example:
        pair = self.pairs[index]
        made = {view: make_variant(view, pair, self.seed, self.tools) for view in self.views}
        return self.encoder.example(pair, made)


@dataclass(frozen=True)
class Batches:
    """Examples -> a training batch: the scoring network's arguments, the reference, and where each view's tokens are."""

    cache: ReferenceCache
    pad_id: int
    packed: bool
    image_token: int | None

    def __call__(self, examples: list[Example]) -> dict[str, Any]:
        preflight.check_examples(examples, self.image_token)
        rewarded = dict.fromkeys(view for example in examples for view in example.rewards)
        return {
            "ids": [example.id for example in examples],
            "arguments": collate([s for example in examples for s in example.sequences], self.pad_id, self.packed),
            "places": places(examples),
            "reference": reference_values(examples, self.cache),
            "rewards": {
                view: torch.tensor([example.rewards.get(view, float("nan")) for example in examples])
                for view in rewarded
            },
            "altered": list(examples[0].altered),
        }


def scored_batch(network: Any, batch: Mapping[str, Any]) -> Scored:
    """Log-probs of a batch under the policy, with gradient, beside the reference's. One forward pass."""
    tokens = network(**batch["arguments"])
    return Scored(by_view(tokens.logp, batch["places"]), by_view(batch["reference"], batch["places"]), batch["rewards"])


class PreferenceTrainer(Trainer):  # type: ignore[misc]
    """transformers.Trainer over views. order: pair indices of all epochs, one after the other."""

    def __init__(
        self,
        network: Any,
        arguments: TrainingArguments,
        data: PairViews,
        batches: Batches,
        order: Sequence[int],
        objective: Objective,
        log_path: Path,
        rollouts: Rollouts | None = None,
        **others: Any,
    ) -> None:
        super().__init__(network, arguments, data_collator=batches, train_dataset=data, **others)
        self.order, self.objective, self.log_path = order, objective, log_path
        self.rollouts = rollouts
        self.rolled = (-1, 0)  # step, and how many micro-batches of it have had their rollouts
        self.watch = Watch()
        # Else the loss of accumulated micro-batches would be added up instead of averaged.
        self.model_accepts_loss_kwargs = False

    def get_train_dataloader(self) -> Any:
        """All epochs as one pass in the recorded order, so that a resumed run skips to its place in it."""
        return self.accelerator.prepare(
            DataLoader(
                self.train_dataset,
                batch_size=self.args.per_device_train_batch_size,
                sampler=self.order,
                collate_fn=self.data_collator,
                num_workers=self.args.dataloader_num_workers,
                pin_memory=self.args.dataloader_pin_memory,
            )
        )

    def compute_loss(
        self, model: Any, inputs: Mapping[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean loss of a batch of pairs, and that of the policy's own answers where the objective learns from them."""
        scored = scored_batch(model, inputs)
        loss = self.objective.loss(scored, self.objective.config)
        preflight.check_finite(loss, self.state.global_step + 1, inputs["ids"])
        if self.state.global_step == 0:
            expected = self.objective.loss_at_start(self.objective.config)
            preflight.check_start(scored, loss, expected, inputs["ids"], precision(self.args, model))
        tokens = int(inputs["arguments"]["inputs"]["attention_mask"].sum())
        row, mean = observed(scored, loss, inputs["altered"]), loss.per_pair.mean()
        if self.rollouts is not None:
            online = self.online(model, self.rollouts)
            row |= described(online)
            mean = mean + online.per_pair.mean()
        self.watch.add(row, inputs["ids"], tokens)
        return (mean, scored) if return_outputs else mean

    def online(self, model: Any, rollouts: Rollouts) -> Loss:
        """The loss of this micro-batch's share of the step's rollouts."""
        step = self.state.global_step
        part = self.rolled[1] + 1 if self.rolled[0] == step else 0
        self.rolled = step, part
        found = rollouts(self.accelerator.unwrap_model(model), step, part)
        if not torch.isfinite(found.per_pair.detach()).all():
            raise InputError(
                f"step {step + 1}: the loss of rollouts is not finite. The last checkpoint is sound; lower the learning rate"
            )
        return found

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add what was watched, and write a row of log.jsonl."""
        if "loss" in logs:
            ids = self.watch.ids
            logs = {**logs, **self.watch.take(self.accelerator)}
            if not all(value == value and abs(value) != float("inf") for value in logs.values()):
                raise InputError(
                    f"step {self.state.global_step}: the gradient or a term is not finite (pairs {', '.join(ids[:8])}). "
                    "The last checkpoint is sound; lower the learning rate, or look at these pairs"
                )
            if self.is_world_process_zero():
                with self.log_path.open("a", encoding="utf-8") as file:
                    file.write(dumps({"step": self.state.global_step, **logs}) + "\n")
        super().log(logs, start_time)

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: inputs are nested here, and frozen towers would make the Trainer's formula wrong anyway."""
        return 0


def precision(arguments: TrainingArguments, network: Any) -> torch.dtype:
    """In what forward passes compute."""
    if arguments.bf16:
        return torch.bfloat16
    found: torch.dtype = getattr(network, "module", network).dtype
    return found


class Steps(TrainerCallback):  # type: ignore[misc]
    """Tells a display of every step."""

    def __init__(self, advance: Advance) -> None:
        self.advance = advance

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self.advance(1)


@dataclass(frozen=True)
class Prepared:
    """All that training needs, once views and reference are there. order: pair indices of every epoch, in whole steps."""

    checkpoint: Checkpoint
    network: Any
    data: PairViews
    batches: Batches
    order: Sequence[Sequence[int]]
    proof: Mapping[str, Any]
    rollouts: Rollouts | None


def train(plan: TrainingPlan, show: Show) -> dict[str, Any]:
    """Train, or go on training, what the plan says; returns what training.json then holds."""
    transformers.utils.logging.set_verbosity_error()
    objective = open_objective(plan.objective, plan.settings)
    source = checkpoint_source(plan.model)
    pairs = read_pairs(plan.data, plan.images)
    arguments = training_arguments(plan)
    main = arguments.process_index == 0
    settings = {
        "objective": objective_identity(plan.objective, objective),
        "model": fingerprint(source),
        "pairs": pairs.hash,
        "recipe": asdict(plan.recipe),
        "dtype": plan.options.dtype,
        "processes": arguments.world_size,
    }
    with training_folder.held(plan.out) if main else nullcontext():
        if everywhere(training_folder.claim(plan.out, settings) if main else False):
            return training_folder.read_training(plan.out)
        begun = time.monotonic()
        prepared = prepare(plan, objective, source, pairs, arguments, show)
        trained = adapted(prepared.network, plan.recipe, source)
        trainer = run(trained, prepared, objective, plan, arguments, show)
        found = {
            "settings": settings,
            "identity": prepared.proof,
            "steps": int(trainer.state.global_step),
            "seconds": round(time.monotonic() - begun, 1),
        }
        weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)  # gathered from all, where they are sharded
        if main:
            save_result(trained, weights, prepared.checkpoint, plan)
            training_folder.finish(plan.out, {**found, "result": fingerprint(str(plan.out))})
        everywhere(True)  # no process ends before the result is written
        return training_folder.read_training(plan.out)


def prepare(
    plan: TrainingPlan,
    objective: Objective,
    source: str,
    pairs: PreferenceSet,
    arguments: TrainingArguments,
    show: Show,
) -> Prepared:
    """Open the model, make every view once, compute the reference log-probs that are not cached, fix the order."""
    recipe = plan.recipe
    checkpoint = open_for_training(source, plan, arguments)
    network = scoring(adaptation.without_dropout(checkpoint.network))
    packed = network.config.model_type in PACKED
    root = plan.cache or default_cache()
    tools = Tools(
        pixels=model_pixels(checkpoint.processor.image_processor),
        reference=ReferenceModel(checkpoint),
        cache=root / "variants",
    )
    tools = with_detection(
        tools, objective.views, recipe.detector, recipe.segmenter, recipe.word_vectors, str(arguments.device)
    )
    tools = open_tools(objective.views, pairs.pairs, open_data(), tools)
    data = PairViews(pairs.pairs, objective.views, recipe.seed, tools, Encoder(checkpoint, packed))
    cache = ReferenceCache(root, reference_identity(checkpoint, arguments, packed))
    batches = Batches(cache, checkpoint.processor.tokenizer.pad_token_id or 0, packed, image_token(network))
    longest = longest_allowed(network, recipe)
    fitting = (example for example in map(data.__getitem__, range(len(data))) if fits(example.length(), longest))
    if (example := next(fitting, None)) is not None:
        preflight.check_forward(network, example, batches.pad_id, packed)
    seen = survey_all(data, batches, network, plan, arguments, show)
    used = [index for index, pair in enumerate(seen) if fits(pair.length, longest)]
    if not used:
        raise InputError(f"{plan.data}: all {len(seen)} pairs are longer than {longest} tokens; see --max-length")
    order = ordering.first_steps(
        [ordering.whole_steps(epoch, recipe.batch_size) for epoch in epochs(recipe, objective, seen, used)],
        recipe.max_steps and recipe.max_steps * recipe.batch_size,
    )
    proof = {
        "pairs": pairs.hash,
        "unreadable": len(pairs.dropped),
        "used": len(used),
        "dropped": [seen[index].id for index in sorted({*range(len(seen))} - {*used})],
        "order": [identity.order_hash([seen[index].id for index in epoch]) for epoch in order],
        "views": identity.view_proof(
            [seen[index] for index in used], {view: open_view(view).VERSION for view in objective.views}
        ),
        "seed": recipe.seed,
        "model": weights_hash(network),
        "reference": cache.key,
        "packed": packed,
        "processes": arguments.world_size,
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")},
    }
    rollouts = open_rollouts(objective, recipe, data.encoder, batches.pad_id, arguments, root)
    if rollouts:
        proof["questions"] = questions_hash(rollouts.questions)
    return Prepared(checkpoint, network, data, batches, order, proof, rollouts)


def open_rollouts(
    objective: Objective, recipe: Recipe, encoder: Encoder, pad_id: int, arguments: TrainingArguments, cache: Path
) -> Rollouts | None:
    """What the policy is asked in each step; None where the recipe asks nothing, or the objective does not listen."""
    size = getattr(objective.config, "group_size", 0)
    if recipe.online is None or objective.online_loss is None or not size:
        return None
    if recipe.full or arguments.world_size > 1:
        raise InputError(
            "--online needs an adapter, without which there is no reference at hand for new answers, and one process; "
            "leave --full or torchrun away, or say --set group_size=0"
        )
    per_call, rest = divmod(recipe.online_per_step, arguments.gradient_accumulation_steps)
    if rest or not per_call:
        raise InputError(
            f"--online-per-step {recipe.online_per_step}: expected a multiple of the step's "
            f"{arguments.gradient_accumulation_steps} micro-batches"
        )
    return Rollouts(
        questions=read_questions(recipe.online, recipe.seed, cache),
        encoder=encoder,
        loss=objective.online_loss,
        config=objective.config,
        per_call=per_call,
        size=size,
        seed=recipe.seed,
        temperature=recipe.online_temperature,
        pad_id=pad_id,
    )


def adapted(network: Any, recipe: Recipe, source: str) -> Any:
    """The network with what the recipe trains set free; an adapter's weights follow from the seed."""
    transformers.set_seed(recipe.seed)
    if recipe.full:
        trained = adaptation.without_vision(network)
    else:
        base = str(Path(source).resolve()) if Path(source).is_dir() else source
        trained = adaptation.with_lora(network, recipe.lora_r, recipe.lora_alpha, base)
    if recipe.gradient_checkpointing:
        # Reentrant checkpoints let ranks drift apart silently under LoRA and DDP.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the new name is not in every version that is supported
            network.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return trained


def run(
    trained: Any,
    prepared: Prepared,
    objective: Objective,
    plan: TrainingPlan,
    arguments: TrainingArguments,
    show: Show,
) -> PreferenceTrainer:
    """The trainer, after training to the end from the last whole checkpoint where there is one."""
    flat = [index for epoch in prepared.order for index in epoch]
    log_path = plan.out / training_folder.LOG
    trainer = PreferenceTrainer(
        trained, arguments, prepared.data, prepared.batches, flat, objective, log_path, prepared.rollouts
    )
    trainer.remove_callback(transformers.PrinterCallback)
    last = training_folder.last_checkpoint(plan.out, arguments.world_size)
    done = int(last.name.rpartition("-")[2]) if last else 0
    if trainer.is_world_process_zero():
        if log_path.is_file():
            saved = (
                f"after step {done}, the last that was saved"
                if done
                else "from the start, no step was saved (--save-steps)"
            )
            print(f"halbench: goes on {saved}", file=sys.stderr)
        training_folder.keep_log(log_path, done)
    with show("training", len(flat) // plan.recipe.batch_size, done) as advance:
        trainer.add_callback(Steps(advance))
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    return trainer


def checkpoint_source(model: str) -> str:
    """Folder or hub name of the model to start from, which must be a whole checkpoint."""
    if model.startswith(PREFIX):
        return str(checkpoint_path(model))
    if (Path(model) / "adapter_config.json").is_file():
        raise InputError(
            f"{model} is an adapter; training starts from a whole checkpoint. Merge it into its base and save that first"
        )
    check_source(model)
    if not Path(model).is_dir():
        try:
            transformers.AutoConfig.from_pretrained(model)  # from here on the hub's commit is known, see fingerprint
        except (OSError, ValueError) as error:
            raise InputError(
                f"{model} is no folder here, and the hub did not give it ({first_sentence(error)})"
            ) from error
    return model


def objective_identity(name: str, objective: Objective) -> dict[str, Any]:
    """Name and settings; of one given as a file also the hash of its text."""
    file = {"file": file_hash(Path(name), 12)} if name.endswith(".py") else {}
    return {"name": Path(name).stem, "config": asdict(objective.config), **file}


def training_arguments(plan: TrainingPlan) -> TrainingArguments:
    """The recipe as transformers.Trainer takes it. Starts the process group where there are several processes."""
    recipe = plan.recipe
    on_cpu = plan.options.device == "cpu" or not (plan.options.device or torch.cuda.is_available())
    world = int(os.environ.get("WORLD_SIZE", "1"))
    share, rest = divmod(recipe.batch_size, world)
    micro = recipe.micro_batch_size or share
    if rest or not share or share % micro:
        raise InputError(
            f"--batch-size {recipe.batch_size}: expected a multiple of {world} processes x --micro-batch-size {micro}"
        )
    if plan.options.device not in (None, "cpu", "cuda"):
        raise InputError(
            f"device '{plan.options.device}': training takes cpu or cuda; choose a GPU with CUDA_VISIBLE_DEVICES, several "
            "with torchrun --nproc_per_node N -m baselines train ..."
        )
    schedulers = [kind.value for kind in transformers.SchedulerType]
    if recipe.lr_scheduler not in schedulers:
        raise InputError(f"lr_scheduler '{recipe.lr_scheduler}'{did_you_mean(recipe.lr_scheduler, schedulers)}")
    low = plan.options.dtype in ("auto", "bfloat16")
    arguments = TrainingArguments(
        output_dir=str(plan.out),
        num_train_epochs=1,  # one pass over the order of all epochs
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=share // micro,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.lr_scheduler,
        warmup_steps=recipe.warmup_ratio,
        weight_decay=recipe.weight_decay,
        adam_beta1=recipe.adam_beta1,
        adam_beta2=recipe.adam_beta2,
        max_grad_norm=recipe.max_grad_norm,
        optim="adamw_torch",
        # An adapter is trained in float32 on a base in bfloat16; whole weights need float32 ones behind autocast, since
        # steps of 1e-5 vanish in bfloat16.
        bf16=recipe.full and low and not on_cpu,
        ddp_find_unused_parameters=False,
        use_cpu=on_cpu,
        seed=recipe.seed,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=recipe.save_steps,
        save_total_limit=1,
        remove_unused_columns=False,
        dataloader_num_workers=plan.workers,
        disable_tqdm=True,
        report_to=plan.report_to,
    )
    if arguments.device.type == "cuda":
        arguments._n_gpu = 1  # one process, one GPU: else the Trainer spreads batches over all by threads
    return arguments


def open_for_training(source: str, plan: TrainingPlan, arguments: TrainingArguments) -> Checkpoint:
    """The model on this process's device, in the precision that its way of training asks for."""
    recipe, asked = plan.recipe, plan.options
    if recipe.load_in_4bit:
        identity = {"fingerprint": fingerprint(source), "transformers": transformers.__version__}
        return adaptation.open_in_4bit(source, arguments.device, asked.trust_remote_code, identity)
    dtype = "float32" if recipe.full else asked.dtype
    return open_checkpoint(
        source, BackendOptions(device=str(arguments.device), dtype=dtype, trust_remote_code=asked.trust_remote_code)
    )


def reference_identity(checkpoint: Checkpoint, arguments: TrainingArguments, packed: bool) -> dict[str, str]:
    """All that can change a reference log-prob of given tokens and image."""
    return {
        **checkpoint.identity,
        "weights": weights_hash(checkpoint.network),
        "autocast": "bfloat16" if arguments.bf16 else "none",
        "attention": str(checkpoint.network.config.get_text_config()._attn_implementation),
        "device": arguments.device.type,
        "packed": str(packed).lower(),
    }


def image_token(network: Any) -> int | None:
    """Id of the token that stands for a piece of the image in prompts."""
    config = network.config
    found = getattr(config, "image_token_id", None) or getattr(config, "image_token_index", None)
    return None if found is None else int(found)


def survey_all(
    data: PairViews,
    batches: Batches,
    network: Any,
    plan: TrainingPlan,
    arguments: TrainingArguments,
    show: Show,
) -> list[Surveyed]:
    """Every pair surveyed, each process having done its share; all reference log-probs are in the cache then."""
    size = arguments.per_device_train_batch_size
    chunks = [list(range(start, min(start + size, len(data)))) for start in range(0, len(data), size)]
    own = chunks[arguments.process_index :: arguments.world_size]
    # Views that ask a model are made in this process, which holds it; training then finds them in the cache.
    asks_model = any(getattr(data.tools, model) for view in data.views for model in used_models(open_view(view)))
    workers = 0 if asks_model else plan.workers
    loader = DataLoader(data, batch_sampler=own, collate_fn=list, num_workers=workers)
    cast = torch.autocast(arguments.device.type, torch.bfloat16, enabled=arguments.bf16)

    def score(sequences: list[TokenSequence]) -> Tokens:
        with torch.no_grad(), cast:
            found: Tokens = network(**on_device(collate(sequences, batches.pad_id, batches.packed), arguments.device))
        return found

    rows: list[tuple[int, Surveyed]] = []
    longest = longest_allowed(network, plan.recipe)
    with show("views and reference", sum(map(len, own)), 0) as advance:
        for chunk, found in zip(own, survey(loader, batches.cache, score, longest), strict=True):
            rows += zip(chunk, found, strict=True)
            advance(len(chunk))
    if arguments.world_size > 1:
        gathered: list[Any] = [None] * arguments.world_size
        torch.distributed.all_gather_object(gathered, rows)
        rows = [row for part in gathered for row in part]
        batches.cache.read()
    return [row for _, row in sorted(rows, key=lambda row: row[0])]


def fits(length: int, longest: int | None) -> bool:
    return longest is None or length <= longest


def longest_allowed(network: Any, recipe: Recipe) -> int | None:
    """Most tokens that a prompt with an answer may have."""
    found: int | None = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    limits = [limit for limit in (recipe.max_length, found) if limit is not None]
    return min(limits, default=None)


def epochs(recipe: Recipe, objective: Objective, seen: Sequence[Surveyed], used: Sequence[int]) -> list[list[int]]:
    """Indices into the pairs, epoch by epoch."""
    order = str(recipe.order or getattr(objective.config, "order", "shuffled"))
    if order == "shuffled":
        found = ordering.shuffled(len(used), recipe.epochs, recipe.seed)
    elif order == "curriculum":
        difficulty = [seen[index].entropy for index in used]
        if any(value is None for value in difficulty):
            raise InputError(
                "a curriculum ranks pairs by the entropy of view 'chosen', which this objective does not use"
            )
        found = ordering.curriculum([value or 0.0 for value in difficulty], recipe.epochs, recipe.seed)
    else:
        raise InputError(f"order '{order}'{did_you_mean(order, ('shuffled', 'curriculum'))}")
    return [[used[place] for place in epoch] for epoch in found]


def save_result(trained: Any, weights: Mapping[str, Any], checkpoint: Checkpoint, plan: TrainingPlan) -> None:
    """The adapter, or the whole model with its processor, into the output folder. weights: whole, by parameter name."""
    trained.save_pretrained(plan.out, state_dict=weights)
    (plan.out / "README.md").unlink(missing_ok=True)  # peft's blank form
    if plan.recipe.full:
        checkpoint.processor.save_pretrained(plan.out)


def everywhere(value: bool) -> bool:
    """The main process's value, in every process."""
    if not torch.distributed.is_initialized():
        return value
    holder = [value]
    torch.distributed.broadcast_object_list(holder)
    return holder[0]
