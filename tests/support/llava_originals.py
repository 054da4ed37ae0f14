"""Tiny checkpoints in the format of LLaVA's own code, and what the models say that their weights come from.

`Originals` holds a transformers LLaVA without image token, whose weights are saved under the names of LLaVA's code: whole, as
a LoRA adapter with non_lora_trainables.bin, and as a projector. `logits` calls it as LLaVA's code does: the parts of the
prompt are tokenised apart and the image's features put between their embeddings.
"""

import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save_file
from tiny_checkpoints import CORPUS, clip_sizes, widen
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    CLIPVisionModel,
    LlamaTokenizer,
    LlavaConfig,
    LlavaForConditionalGeneration,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

SIZES = {
    **{"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
    **{"num_key_value_heads": 2, "max_position_embeddings": 1024, "tie_word_embeddings": False},
    **{"bos_token_id": 1, "eos_token_id": 2, "rms_norm_eps": 1e-5, "rope_theta": 20000.0},
}
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


def vicuna_tokenizer() -> Any:
    """A tokenizer of Llama's kind: byte fallback, and a space before the first word."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trained.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=120, show_progress=False))
    learnt = json.loads(trained.to_str())["model"]
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *learnt["vocab"]]
    merges = [tuple(pair) for pair in learnt["merges"]]
    return LlamaTokenizer(vocab={word: id for id, word in enumerate(words)}, merges=merges, add_bos_token=True)


class Originals:
    """The pieces that tiny checkpoints in LLaVA's own format are made of."""

    def __init__(self, folder: Path, text_model: str = "llama", projector: str = "mlp2x_gelu") -> None:
        self.folder, self.text_model, self.projector = folder, text_model, projector
        self.tokenizer = vicuna_tokenizer()
        text = AutoConfig.for_model(text_model, **SIZES, vocab_size=len(self.tokenizer))
        act = "gelu" if projector == "mlp2x_gelu" else "linear"
        config = LlavaConfig(
            text_config=text, vision_config=clip_sizes(), image_token_index=0, projector_hidden_act=act
        )
        self.model: Any = widen(LlavaForConditionalGeneration(config), 0)
        with torch.no_grad():
            for bias in ("linear_1.bias", "linear_2.bias"):
                self.model.get_parameter(f"model.multi_modal_projector.{bias}").normal_()
            if projector == "linear":
                self.model.model.multi_modal_projector.linear_2.weight.copy_(torch.eye(32))
                self.model.model.multi_modal_projector.linear_2.bias.zero_()
        self.config = {
            **{"architectures": ["LlavaLlamaForCausalLM"], "model_type": f"llava_{text_model}", **SIZES},
            **{"vocab_size": len(self.tokenizer), "mm_vision_tower": str(self.clip()), "mm_vision_select_layer": -2},
            **{"mm_vision_select_feature": "patch", "mm_projector_type": projector, "mm_hidden_size": 32},
            **{"image_aspect_ratio": "pad", "mm_use_im_start_end": False, "mm_use_im_patch_token": False},
            **{"torch_dtype": "float32", "use_mm_proj": True, "tune_mm_mlp_adapter": False},
        }

    def clip(self) -> Path:
        """The vision tower as OpenAI's are on the hub, pickled, with a text part that LLaVA does not use."""
        folder = self.folder / "clip"
        folder.mkdir(parents=True, exist_ok=True)
        tower = self.model.model.vision_tower
        weights = {f"vision_model.{name.removeprefix('vision_model.')}": t for name, t in tower.state_dict().items()}
        unused = {"logit_scale": torch.ones(()), "vision_model.embeddings.position_ids": torch.arange(5)[None]}
        torch.save({**weights, **unused}, folder / "pytorch_model.bin")
        CLIPVisionModel(clip_sizes()).config.save_pretrained(folder)
        CLIPImageProcessorPil(
            size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, image_mean=MEAN, image_std=STD
        ).save_pretrained(folder)
        return folder

    def language_weights(self) -> dict[str, torch.Tensor]:
        text = {f"model.{name}": t for name, t in self.model.model.language_model.state_dict().items()}
        return {**text, "lm_head.weight": self.model.lm_head.weight.data}

    def projector_weights(self) -> dict[str, torch.Tensor]:
        weights = self.model.model.multi_modal_projector.state_dict()
        layers = {"linear_1.": "0.", "linear_2.": "2."} if self.projector == "mlp2x_gelu" else {"linear_1.": ""}
        return {
            f"model.mm_projector.{layers[name]}{end}": weights[name + end]
            for name in layers
            for end in ("weight", "bias")
        }

    def tower_weights(self) -> dict[str, torch.Tensor]:
        weights = self.model.model.vision_tower.state_dict()
        inner = {name.removeprefix("vision_model."): tensor for name, tensor in weights.items()}
        return {f"model.vision_tower.vision_tower.vision_model.{name}": tensor for name, tensor in inner.items()}

    def parts(self, name: str, **config: Any) -> Path:
        """A folder with config.json."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({**self.config, **config}))
        return folder

    def full(self, name: str, extra: dict[str, torch.Tensor] | None = None, **config: Any) -> Path:
        """A whole checkpoint in two pickled files with their index."""
        folder = self.parts(name, **config)
        self.tokenizer.save_pretrained(folder)
        weights = {**self.language_weights(), **self.projector_weights(), **(extra or {})}
        weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(8)
        names = sorted(weights)
        halves = {"pytorch_model-00001-of-00002.bin": names[:9], "pytorch_model-00002-of-00002.bin": names[9:]}
        for file, part in halves.items():
            torch.save({name: weights[name].clone() for name in part}, folder / file)
        index = {"weight_map": {name: file for file, part in halves.items() for name in part}}
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
        return folder

    def full_safetensors(self, name: str) -> Path:
        """A whole checkpoint in one safetensors file."""
        folder = self.parts(name)
        self.tokenizer.save_pretrained(folder)
        save_file({**self.language_weights(), **self.projector_weights()}, folder / "model.safetensors")
        return folder

    def vicuna(self, name: str = "vicuna") -> Path:
        """The language model alone."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        config = AutoConfig.for_model(self.text_model, **SIZES, vocab_size=len(self.tokenizer))
        config.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        torch.save(self.language_weights(), folder / "pytorch_model.bin")
        return folder

    def projector_only(self, name: str) -> Path:
        folder = self.parts(name)
        torch.save(self.projector_weights(), folder / "mm_projector.bin")
        return folder

    def adapter(self, name: str, base: Path, pickled: bool = False, **settings: Any) -> Path:
        """A LoRA adapter as LLaVA's training writes it. Afterwards the reference has it merged, by peft itself."""
        from peft import LoraConfig, get_peft_model, get_peft_model_state_dict

        folder = self.parts(name)
        language = AutoModelForCausalLM.from_config(self.model.config.text_config)
        language.load_state_dict(self.language_weights())
        settings = {"target_modules": ["q_proj", "down_proj"], "lora_alpha": 6, "task_type": "CAUSAL_LM", **settings}
        adapted = get_peft_model(language, LoraConfig(r=4, **settings))
        adapted.peft_config["default"].base_model_name_or_path = str(base)
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for key, weight in adapted.named_parameters():
                if "lora_" in key:
                    weight.normal_(0, 0.3, generator=generator)
        adapted.save_pretrained(folder)
        if pickled:
            (folder / "adapter_model.safetensors").unlink()
            torch.save(get_peft_model_state_dict(adapted), folder / "adapter_model.bin")
        beside = {f"base_model.model.{key}": tensor for key, tensor in self.projector_weights().items()}
        torch.save(beside, folder / "non_lora_trainables.bin")
        self.model.model.language_model.load_state_dict(adapted.merge_and_unload().model.state_dict())
        return folder

    @torch.inference_mode()
    def logits(self, prompt: str, pixels: torch.Tensor) -> torch.Tensor:
        """[tokens, vocabulary], as LLaVA's code computes them."""
        before, after = (self.tokenizer(part)["input_ids"] for part in prompt.split("<image>"))
        assert before[0] == after[0] == 1
        embed = self.model.get_input_embeddings()
        features = self.model.model.get_image_features(pixels, return_dict=True).pooler_output[0]
        texts = [embed(torch.tensor(ids)) for ids in (before, after[1:])]
        embeddings = torch.cat([texts[0], features, texts[1]])[None]
        hidden = self.model.model.language_model(inputs_embeds=embeddings).last_hidden_state
        return self.model.lm_head(hidden)[0]  # type: ignore[no-any-return]


def squared(image: Image.Image) -> Image.Image:
    """A picture in the middle of a square of CLIP's mean colour: LLaVA's preparation for image_aspect_ratio "pad"."""
    side = max(image.size)
    square = Image.new("RGB", (side, side), tuple(int(value * 255) for value in MEAN))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square
