"""Training the checkpoint: packed texts, a falling loss, the same weights twice."""

import pytest
from PIL import Image

from halbench.scenes.world import WORLD, WorldParameters, sample_scene

torch = pytest.importorskip("torch")

from halbench.scenes_tools.checkpoint import CHAT_TEMPLATE, build_processor  # noqa: E402
from halbench.scenes_tools.training import Recipe, answer_losses, exchanges, pack, train  # noqa: E402


def test_training_packs_exactly_what_the_template_writes():
    processor = build_processor(WORLD)
    texts = [[("Describe this image.", "This is a park with a dog."), ("Is there a ball in the image?", "No")]]
    packed = pack(texts, processor, cells=16)
    for number, (prompt, answer) in enumerate(texts[0], 1):
        content = [{"type": "image"}, {"type": "text", "text": prompt}]
        talk = [{"role": "user", "content": content}, {"role": "assistant", "content": answer}]
        text = processor.apply_chat_template(talk, chat_template=CHAT_TEMPLATE)
        alone = processor(text=[text], images=[Image.new("RGB", (80, 80))], return_tensors="pt")["input_ids"][0]
        own = (packed.branches[0] == 0) | (packed.branches[0] == number)
        assert packed.ids[0][own].tolist() == alone.tolist()
        assert packed.positions[0][own].tolist() == list(range(len(alone)))


def test_a_packed_text_is_read_as_if_alone(base):
    scene = sample_scene(WORLD, 0, "training", 0)
    texts = exchanges(scene, WORLD, 0.5, scene.random("test"))
    features = torch.randn(1, 16, base.model.config.text_config.hidden_size, generator=torch.Generator().manual_seed(0))
    together = pack([texts], base.processor, cells=16)
    with torch.no_grad():
        packed = answer_losses(base.model, together, features)
        for number, piece in enumerate(texts, 1):
            alone = answer_losses(base.model, pack([[piece]], base.processor, cells=16), features)
            torch.testing.assert_close(packed.nats[packed.branch == number], alone.nats, atol=1e-4, rtol=1e-4)


def test_a_few_steps_of_training_lower_the_loss_and_repeat_exactly():
    recipe = Recipe(
        scenes=48, eval_scenes=2, vision_steps=2, vision_batch=4, language_steps=8, language_batch=4, warm_up=2
    )
    first, second = train(WORLD, recipe), train(WORLD, recipe)
    assert first.losses == second.losses
    assert first.losses[-1] < first.losses[0] - 0.5


def test_another_world_can_be_trained_on():
    small = WorldParameters(grid=3, pairs={2: 1.0})
    recipe = Recipe(scenes=8, eval_scenes=2, vision_steps=1, vision_batch=2, language_steps=1, language_batch=2)
    assert len(train(small, recipe).losses) == 1
