"""Views: the same variant in any order and process, and what each of them does to an image."""

import json
from dataclasses import replace
from math import isnan
from pathlib import Path

import numpy as np
import pytest
import tiny_checkpoints
import tiny_detectors
import torch
from PIL import Image, ImageColor, ImageDraw

from baselines.adversary import ReferenceModel, attack, attacked, image_information_gain
from baselines.differentiable_pixels import as_image, as_tensor, differentiable
from baselines.keywords import LETTERS, keywords, letter_similarity, page_rank, rank, word_vectors
from baselines.logprobs import scoring
from baselines.noise import CLIP_336, ModelPixels, diffused, kept_signal, model_pixels
from baselines.preferences import open_image, read_pairs
from baselines.regions import Grounded, Grounder, box_mask, names_the_same
from baselines.types import Pair, Region
from baselines.variants import Tools, generator, hit_rate, image_hash, make_variant, open_tools, open_view, view_hash
from baselines.views import cropped, mined_rejected
from halbench import plugins
from halbench.backends.hf import open_checkpoint
from halbench.datasets import Data
from halbench.errors import InputError, MissingExtra
from halbench.language import Language, open_language
from halbench.scenes import checkpoint_path
from halbench.types import BackendOptions

CHOSEN = "A brown dog chases a red ball over the grass. The dog looks happy."
DOG, BALL = Region("dog", (10, 20, 60, 70)), Region("red ball", (90, 60, 120, 90))
STORED = ModelPixels(edge=None)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> list[Pair]:
    folder = tmp_path_factory.mktemp("images")
    made = []
    for number, colour in enumerate(("green", "navy", "white")):
        pixels = (
            np.random.default_rng(number).integers(0, 60, (100, 140, 3)) + np.array(ImageColor.getrgb(colour)) * 3 // 4
        )
        image = Image.fromarray(pixels.astype(np.uint8))
        ImageDraw.Draw(image).rectangle(DOG.box, fill="brown")
        ImageDraw.Draw(image).ellipse(BALL.box, fill="red")
        image.save(folder / f"{number}.png")
        made.append(
            Pair(str(number), folder / f"{number}.png", "What is there?", CHOSEN, "A cat.", (DOG, BALL) * (number < 2))
        )
    return made


@pytest.fixture(scope="module")
def language(data: Data) -> Language:
    return open_language(data)


@pytest.fixture(scope="module")
def reference() -> ReferenceModel:
    return ReferenceModel(open_checkpoint(str(checkpoint_path("base")), BackendOptions(device="cpu", dtype="float32")))


@pytest.fixture
def tools(pairs: list[Pair], language: Language) -> Tools:
    return Tools(pairs=pairs, language=language, pixels=STORED)


def changed(pair: Pair, image: Image.Image) -> np.ndarray:
    """[H, W]: where a variant differs from the pair's own image."""
    return (np.asarray(image) != np.asarray(open_image(pair.image))).any(-1)


# --- every view


MODEL_FREE = [
    *("chosen", "rejected", "blank", "cropped", "globally_noised", "other_image"),
    *("random_region_noised", "region_noised"),
]


@pytest.mark.parametrize("view", MODEL_FREE)
def test_a_variant_depends_on_pair_and_seed_alone(view: str, pairs: list[Pair], tools: Tools):
    forwards = [make_variant(view, pair, 3, tools) for pair in pairs]
    backwards = [make_variant(view, pair, 3, tools) for pair in reversed(pairs)]
    for one, other in zip(forwards, reversed(backwards), strict=True):
        assert (one.prompt, one.answer, one.notes) == (other.prompt, other.answer, other.notes)
        assert (one.image and one.image.tobytes()) == (other.image and other.image.tobytes())


@pytest.mark.parametrize("view", ["cropped", "globally_noised", "random_region_noised", "region_noised"])
def test_the_seed_and_the_pair_decide_what_is_drawn(view: str, pairs: list[Pair], tools: Tools):
    assert view_hash(view, pairs, 0, tools) == view_hash(view, pairs, 0, tools)
    assert view_hash(view, pairs, 0, tools) != view_hash(view, pairs, 1, tools)
    assert view_hash(view, pairs, 0, tools) != view_hash(view, pairs[:2], 0, tools)
    twin = replace(pairs[0], id="twin")
    assert image_hash(make_variant(view, pairs[0], 0, tools).image) != image_hash(
        make_variant(view, twin, 0, tools).image
    )


def test_every_view_is_a_module_of_the_same_shape():
    names = plugins.names("baselines.views")
    assert sorted([*MODEL_FREE, "adversarial", "mined_rejected"]) == names
    for name in names:
        module = open_view(name)
        assert module.VERSION
        assert {*module.NEEDS, *getattr(module, "USES", ())} <= set(Tools.__dataclass_fields__)


def test_a_view_can_be_a_file_of_ones_own(tmp_path: Path, pairs: list[Pair], tools: Tools):
    path = tmp_path / "mirrored.py"
    path.write_text(
        "from PIL import ImageOps\n"
        "from baselines.preferences import open_image\n"
        "from baselines.types import Variant\n"
        "VERSION, NEEDS = '1', ()\n"
        "def make(pair, seed, tools):\n"
        "    return Variant(pair.prompt, pair.chosen, ImageOps.mirror(open_image(pair.image)))\n"
    )
    assert changed(pairs[0], make_variant(str(path), pairs[0], 0, tools).image).any()


def test_a_view_without_what_it_needs_says_so(pairs: list[Pair]):
    with pytest.raises(InputError, match="view 'adversarial' needs a model; give --model"):
        make_variant("adversarial", pairs[0], 0, Tools())
    with pytest.raises(InputError, match="unknown view 'crop'; did you mean 'cropped'"):
        make_variant("crop", pairs[0], 0, Tools())


def test_open_tools_opens_what_the_views_name(pairs: list[Pair], data: Data):
    assert open_tools(["chosen", "cropped"], pairs, data).language is None
    assert open_tools(["chosen", "region_noised"], pairs, data).language is not None


# --- the simple ones


def test_chosen_and_rejected_share_the_pairs_own_image(pairs: list[Pair], tools: Tools):
    chosen, rejected = (make_variant(view, pairs[0], 0, tools) for view in ("chosen", "rejected"))
    assert (chosen.answer, chosen.image, chosen.reward) == (CHOSEN, None, None)
    assert (rejected.answer, rejected.image, rejected.prompt) == ("A cat.", None, "What is there?")


def test_blank_is_black_and_of_the_same_size(pairs: list[Pair], tools: Tools):
    image = make_variant("blank", pairs[0], 0, tools).image
    assert image.size == (140, 100)
    assert image.getextrema() == ((0, 0), (0, 0), (0, 0))


def test_other_image_shows_another_pairs_image(pairs: list[Pair], tools: Tools):
    for seed in range(8):
        variant = make_variant("other_image", pairs[0], seed, tools)
        assert variant.notes["pair"] in ("1", "2")
        assert variant.answer == CHOSEN
    with pytest.raises(InputError, match="needs pairs with other images"):
        make_variant("other_image", pairs[0], 0, replace(tools, pairs=pairs[:1] * 2))


def test_a_crop_keeps_1_to_20_percent_of_the_area_and_its_shape_within_3_to_4():
    random = generator("cropped", "1", 0)
    boxes = [cropped.crop_box((640, 480), random) for _ in range(400)]
    wide, high = (np.array([box[axis + 2] - box[axis] for box in boxes]) for axis in (0, 1))
    area = wide * high / (640 * 480)
    assert 0.0099 < area.min() < 0.02
    assert 0.18 < area.max() < 0.202
    assert 0.1 < area.mean() < 0.11  # uniform between 1 and 20 %
    assert (wide / high).min() > 0.74
    assert (wide / high).max() < 1.345
    assert all(0 <= left < right <= 640 and 0 <= top < bottom <= 480 for left, top, right, bottom in boxes)


def test_a_crop_that_never_fits_is_taken_from_the_centre():
    assert cropped.crop_box((1000, 1), generator("cropped", "1", 0)) == (499, 0, 500, 1)
    assert cropped.centre_box((400, 100)) == (133, 0, 266, 100)
    assert cropped.centre_box((90, 400)) == (0, 140, 90, 260)


def test_a_cropped_image_keeps_its_size_and_shows_the_crop(pairs: list[Pair], tools: Tools):
    variant = make_variant("cropped", pairs[0], 0, tools)
    ((_, *box),) = variant.notes["boxes"]
    assert variant.image.size == (140, 100)
    inside = np.asarray(open_image(pairs[0].image).crop(box)).reshape(-1, 3)
    shown = np.asarray(variant.image).reshape(-1, 3)
    assert (shown.min(0) >= inside.min(0)).all()
    assert (shown.max(0) <= inside.max(0)).all()


# --- noise


def test_the_schedule_is_vcds():
    kept = kept_signal(500)
    assert kept == pytest.approx(0.7447985260, abs=1e-10)
    assert np.sqrt(kept) == pytest.approx(0.8630171065, abs=1e-10)
    assert np.sqrt(1 - kept) == pytest.approx(0.5051746965, abs=1e-10)


def test_noise_has_the_variance_of_its_step_in_the_processors_units():
    grey = Image.new("RGB", (300, 300), tuple(round(255 * mean) for mean in CLIP_336.mean))  # far from clipping
    noised = diffused(grey, np.ones((300, 300), bool), STORED, generator("noise", "1", 0))
    values = (np.asarray(noised) / 255 - np.array(STORED.mean)) / np.array(STORED.std)
    assert values.std((0, 1)) == pytest.approx([0.5052] * 3, abs=0.005)
    assert values.mean((0, 1)) == pytest.approx([0, 0, 0], abs=0.01)


def test_what_a_processor_of_fixed_size_sees_outside_the_mask_is_the_original(reference: ReferenceModel):
    processor = reference.processor.image_processor
    pixels = model_pixels(processor)
    assert pixels.edge == 80
    image = Image.effect_noise((200, 150), 80).convert("RGB")
    mask = box_mask(image.size, [Region("left", (0, 0, 100, 150))])
    noised = diffused(image, mask, pixels, generator("noise", "1", 0))
    assert noised.size == (106, 80)
    before, after = (processor(shown, return_tensors="pt")["pixel_values"] for shown in (image, noised))
    assert torch.equal(before[..., 45:], after[..., 45:])
    assert (before[..., :35] - after[..., :35]).std() > 0.4


def test_only_the_regions_of_key_objects_are_noised(pairs: list[Pair], tools: Tools):
    variant = make_variant("region_noised", pairs[0], 0, tools)
    inside = box_mask((140, 100), [DOG, BALL])
    assert not changed(pairs[0], variant.image)[~inside].any()
    assert changed(pairs[0], variant.image)[inside].mean() > 0.95
    assert variant.notes["hit"] == ["dog", "ball"]
    assert variant.notes["regions"] == "data"


def test_an_image_without_regions_is_noised_all_over_and_counted(pairs: list[Pair], tools: Tools):
    variants = [make_variant("region_noised", pair, 0, tools) for pair in pairs]
    assert changed(pairs[2], variants[2].image).mean() > 0.95
    assert str(hit_rate(variants)) == "4 of 9 keywords found (44%); 1 of 3 images noised all over"
    assert hit_rate([make_variant("chosen", pairs[0], 0, tools)]) is None


def test_a_grounder_is_asked_where_no_box_fits(pairs: list[Pair], tools: Tools, tmp_path: Path):
    asked = []

    def find(image: Image.Image, names):
        asked.append(names)
        region = Region("grass", (0, 80, 140, 100))
        return {"grass": Grounded((region,), box_mask(image.size, [region]))}

    tools = replace(tools, grounder=Grounder("test", find), cache=tmp_path)
    assert make_variant("region_noised", pairs[0], 0, tools).notes["regions"] == "data"
    assert not asked
    variant = make_variant("region_noised", pairs[2], 0, tools)
    assert variant.notes["hit"] == ["grass"]
    assert not changed(pairs[2], variant.image)[:80].any()
    again = make_variant("region_noised", pairs[2], 0, tools)
    assert len(asked) == 1, "the second one comes from the cache"
    assert (again.notes, again.image.tobytes()) == (variant.notes, variant.image.tobytes())
    make_variant("region_noised", pairs[2], 1, tools)
    make_variant("region_noised", pairs[2], 1, replace(tools, grounder=Grounder("other", find)))
    assert len(asked) == 3, "seed and model are part of the key"


def test_a_random_region_covers_a_fifth_of_the_image(pairs: list[Pair], tools: Tools):
    share = changed(pairs[0], make_variant("random_region_noised", pairs[0], 0, tools).image).mean()
    assert share == pytest.approx(0.2, abs=0.01)
    assert changed(pairs[0], make_variant("globally_noised", pairs[0], 0, tools).image).mean() > 0.98


# --- keywords and regions


def test_keywords_are_the_central_nouns_of_an_answer(language: Language):
    assert keywords(CHOSEN, language) == ("dog", "ball", "grass")
    assert keywords("The image shows two dogs and a man on the left side.", language) == ("dog", "man")
    assert keywords("Yes.", language) == ()
    assert keywords("", language) == ()


def test_a_noun_that_describes_another_is_no_keyword(language: Language):
    assert keywords("She holds a tennis racket.", language) == ("racket",)


def test_earlier_and_repeated_words_rank_higher():
    ranks = rank(["dog", "run", "ball", "grass", "dog", "tree", "sky"], letter_similarity)
    assert sum(ranks.values()) == pytest.approx(1)
    assert max(ranks, key=ranks.__getitem__) == "dog"
    assert ranks["ball"] > ranks["sky"]


def test_page_rank_of_a_hand_worked_graph():
    # b and c both lead to a; a leads to both alike.
    shares = page_rank(np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]], dtype=float))
    centre = (0.15 / 3 + 0.85 * 0.15 / 3 * 2) / (1 - 0.85**2)
    assert shares == pytest.approx([centre, 0.05 + 0.425 * centre, 0.05 + 0.425 * centre])
    assert page_rank(np.zeros((1, 1))) == pytest.approx([1.0])


def test_letter_similarity_knows_words_by_their_letters():
    assert letter_similarity("dog", "dog") == pytest.approx(1)
    assert letter_similarity("dog", "cat") == 0
    assert 0 < letter_similarity("snowboard", "snowboarder") < 1


def test_word_vectors_are_never_replaced_silently():
    with pytest.raises((MissingExtra, InputError), match="word vectors"):
        word_vectors("no_such_model")


@pytest.mark.parametrize(
    ("keyword", "name", "same"),
    [
        ("dog", "dogs", True),
        ("light", "traffic light", True),
        ("bike", "bicycle", True),
        ("couch", "sofa", True),
        ("dog", "cat", False),
        ("traffic", "traffic light", False),
        ("blorp", "dog", False),
    ],
)
def test_a_keyword_finds_its_region_by_lemma_head_or_synonym(keyword: str, name: str, same: bool, language: Language):
    assert names_the_same(keyword, name, language) is same


# --- attack


def test_pgd_on_a_linear_score_reaches_the_corner_of_the_ball():
    start = torch.tensor([0.2, 0.5, 0.99, 0.01], dtype=torch.float64)
    weights = torch.tensor([1, -2, -0.5, 0.3], dtype=torch.float64)
    expected = torch.tensor([0.16862745, 0.53137255, 1, 0], dtype=torch.float64)
    found = attack(start, lambda pixels: weights)
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=0)
    assert float(weights @ found) == pytest.approx(-1.39411765, abs=1e-8)
    torch.testing.assert_close(attack(start, lambda pixels: weights, steps=4), expected, atol=1e-8, rtol=0)
    assert not torch.allclose(attack(start, lambda pixels: weights, steps=3), expected, atol=1e-4)


def test_image_information_gain_is_nats_per_token():
    seen = torch.tensor([[-0.2, -1.1, -0.35, -0.05, 9.0]], dtype=torch.float64)
    unseen = torch.tensor([[-0.9, -2.6, -0.3, -0.07, -9.0]], dtype=torch.float64)
    mask = torch.tensor([[True, True, True, True, False]])
    gain = image_information_gain(seen, unseen, mask)
    assert float(gain) == pytest.approx(0.5425, abs=1e-12)
    assert float(gain * 4) == pytest.approx(2.17, abs=1e-12)


@pytest.mark.parametrize("size", [(80, 80), (140, 100), (90, 240), (61, 47)])
def test_pixels_through_torch_are_the_processors_but_for_rounding(size: tuple[int, int], reference: ReferenceModel):
    processor = reference.processor.image_processor
    image = Image.effect_noise(size, 60).convert("RGB")
    expected = processor(image, return_tensors="pt")["pixel_values"]
    found = differentiable(processor, image, expected)(as_tensor(image))
    levels = (found - expected).abs() * 255 * min(processor.image_std)
    assert levels.max() < 1.5
    assert levels.mean() < 0.01
    assert as_image(as_tensor(image)).tobytes() == image.tobytes()


@pytest.mark.parametrize("size", [(140, 100), (57, 200)])
def test_qwens_patches_get_one_gradient_for_both_temporal_copies(size: tuple[int, int]):
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    processor = Qwen2VLImageProcessorPil()
    image = Image.effect_noise(size, 60).convert("RGB")
    pixels = differentiable(processor, image, processor(image, return_tensors="pt")["pixel_values"])
    values = as_tensor(image).requires_grad_()
    pixels(values).square().sum().backward()
    assert values.grad.shape == values.shape
    assert (values.grad != 0).float().mean() > 0.9


@pytest.mark.parametrize("size", [(120, 90), (90, 400), (701, 333), (336, 336)])
def test_llava_next_is_prepared_as_a_whole_and_tile_by_tile(size: tuple[int, int]):
    from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

    clip = {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}}
    processor = LlavaNextImageProcessorPil(**clip)
    image = Image.effect_noise(size, 60).convert("RGB")
    expected = processor(image, return_tensors="pt")["pixel_values"]
    values = as_tensor(image).requires_grad_()
    found = differentiable(processor, image, expected)(values)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() * 255 * min(processor.image_std) < 1.5
    found.square().sum().backward()
    assert (values.grad != 0).float().mean() > 0.9


def test_llava_next_is_attacked(tmp_path: Path):
    saved = tiny_checkpoints.llava_next(tmp_path / "next")
    network = ReferenceModel(open_checkpoint(str(saved), BackendOptions(device="cpu", dtype="float32")))
    image = Image.effect_noise((60, 90), 60).convert("RGB")
    found = attacked(network, image, "Describe this image in detail.", "There are two people on the grass.")
    assert found.after < found.before - 0.01


def test_a_processor_that_does_something_else_is_refused(reference: ReferenceModel):
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    processor = Idefics3ImageProcessorPil(resample=Image.Resampling.BICUBIC)
    image = Image.effect_noise((120, 90), 60).convert("RGB")
    expected = processor(image, return_tensors="pt")["pixel_values"]
    with pytest.raises(InputError, match="no gradient goes through this Idefics3ImageProcessor"):
        differentiable(processor, image, expected)


def test_the_attack_lowers_the_answer_within_eight_levels(pairs: list[Pair], reference: ReferenceModel):
    image = open_image(pairs[0].image)
    found = attacked(reference, image, "Describe this image.", "This is a park with a dog.")
    assert found.after < found.before - 5
    difference = np.asarray(found.image).astype(int) - np.asarray(image).astype(int)
    assert np.abs(difference).max() == 8


def test_the_gradient_is_that_of_the_scored_log_prob(pairs: list[Pair], reference: ReferenceModel):
    image = Image.effect_noise((80, 80), 60).convert("RGB")  # the processor's size, so that rounding plays no part
    prompt, answer = "Describe this image.", "This is a park with a dog."
    gradient = reference.gradient(image, prompt, answer)(as_tensor(image))
    steepest = torch.zeros_like(gradient).flatten()
    steepest[gradient.abs().flatten().topk(200).indices] = 1
    direction = steepest.reshape(gradient.shape) * gradient.sign()
    up, down = (as_image(as_tensor(image) + sign * 2 / 255 * direction) for sign in (1, -1))
    rise = float((reference.logps(up, prompt, answer) - reference.logps(down, prompt, answer)).sum())
    moved = as_tensor(up) - as_tensor(down)
    assert rise == pytest.approx(float((gradient * moved).sum()), rel=0.25)


# --- mining


def test_mined_answers_come_from_the_attack_and_low_gain_is_left_out(
    pairs: list[Pair], reference: ReferenceModel, tmp_path: Path
):
    scenes = [
        replace(pair, prompt="Describe this image.", chosen=text)
        for pair, text in zip(
            pairs, ("This is a park with a dog.", "This is a room with a ball.", "Zebra."), strict=True
        )
    ]
    tools = Tools(pairs=scenes, reference=reference, cache=tmp_path)
    made = [make_variant("mined_rejected", pair, 0, tools) for pair in scenes]
    gains = [variant.notes["gain"] for variant in made]
    assert gains == pytest.approx([reference.information_gain(pair) for pair in scenes])
    lowest = int(np.argmin(gains))
    for place, variant in enumerate(made):
        assert variant.image is None
        if place == lowest:
            assert isnan(variant.reward)
            assert variant.answer == scenes[place].rejected
        else:
            assert variant.reward == mined_rejected.REWARD
            assert variant.answer not in ("", scenes[place].chosen, scenes[place].rejected)
    again = [make_variant("mined_rejected", pair, 0, tools) for pair in reversed(scenes)]
    assert [variant.answer for variant in reversed(again)] == [variant.answer for variant in made]
    reference.gains.clear()
    fresh = make_variant("mined_rejected", scenes[lowest], 0, replace(tools, cache=tmp_path / "other"))
    assert isnan(fresh.reward)


def test_a_network_whose_forward_scores_still_answers(pairs: list[Pair], reference: ReferenceModel):
    image = open_image(pairs[0].image)
    before = reference.sample(image, "Describe this image.", 1)
    checkpoint = open_checkpoint(str(checkpoint_path("base")), BackendOptions(device="cpu", dtype="float32"))
    network = scoring(checkpoint.network)
    forward = network.forward
    other = ReferenceModel(checkpoint)
    assert other.identity == reference.identity
    assert other.sample(image, "Describe this image.", 1) == before
    assert network.forward is forward
    logps = [model.logps(image, "Describe this image.", "A dog.") for model in (reference, other)]
    torch.testing.assert_close(*logps)


# --- grounding models of transformers, tiny and untrained


def test_grounding_dino_gives_boxes_and_sam_their_outlines(tmp_path: Path):
    from baselines.grounding import open_grounder

    tiny_detectors.grounding_dino(tmp_path / "dino")
    tiny_detectors.sam(tmp_path / "sam")
    image = Image.effect_noise((100, 70), 80).convert("RGB")
    boxed = open_grounder(str(tmp_path / "dino"), threshold=0.0, device="cpu")
    found = boxed.find(image, ["dog", "cup"])
    assert set(found) == {"dog", "cup"}
    assert all(0 <= r.box[0] < r.box[2] <= 100 and 0 <= r.box[1] < r.box[3] <= 70 for r in found["dog"].regions)
    assert (found["dog"].mask == box_mask(image.size, found["dog"].regions)).all()
    assert boxed.find(image, ["dog"])["dog"].regions == found["dog"].regions, "asked alone or with others"
    assert open_grounder(str(tmp_path / "dino"), threshold=1.0, device="cpu").find(image, ["dog"]) == {}
    outlined = open_grounder(str(tmp_path / "dino"), str(tmp_path / "sam"), threshold=0.0, device="cpu")
    assert outlined.identity != boxed.identity
    for region in outlined.find(image, ["dog"]).values():
        assert region.mask.shape == (70, 100)


def test_a_checkpoint_that_is_no_detector_is_refused_in_one_line(tmp_path: Path):
    from baselines.grounding import open_grounder

    with pytest.raises(InputError, match="cannot be loaded as a grounding model"):
        open_grounder(str(checkpoint_path("base")))


# --- the command


def test_halbench_views_draws_the_picture_and_prints_the_hash(pairs: list[Pair], data: Data, tmp_path: Path, capsys):
    from halbench.cli.views import views

    rows = [
        {
            "image": str(pair.image),
            "prompt": pair.prompt,
            "chosen": pair.chosen,
            "rejected": pair.rejected,
            "id": pair.id,
        }
        for pair in pairs
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    views(pairs=str(tmp_path), view="region_noised", show=tmp_path / "out" / "sheet.png", data=data.root)
    said = capsys.readouterr().out
    found = read_pairs(tmp_path)
    tools = open_tools(["region_noised"], found.pairs, data)
    assert f"view region_noised, seed 0, 3 pairs: {view_hash('region_noised', found.pairs, 0, tools)}" in said
    assert f"pairs: {found.hash}" in said
    assert "0 of 9 keywords found (0%); 3 of 3 images noised all over" in said
    assert Image.open(tmp_path / "out" / "sheet.png").size[0] > 1000


def test_halbench_views_attacks_the_model_it_is_given(pairs: list[Pair], tmp_path: Path, capsys):
    from halbench.cli.views import views

    row = {"image": str(pairs[0].image), "prompt": "Describe this image.", "chosen": "A dog.", "rejected": "A cat."}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(row) + "\n")
    views(
        pairs=str(tmp_path), view="adversarial", model="scenes:base", cache=tmp_path / "cache", show=tmp_path / "a.png"
    )
    assert "view adversarial, seed 0, 1 pairs" in capsys.readouterr().out
    assert len(list((tmp_path / "cache" / "adversarial").glob("*.png"))) == 1


def test_letters_are_the_default_similarity():
    assert Tools().similarity is LETTERS
