"""How much likelier an answer is with its image."""

import pytest
import torch

from baselines.types import Pair
from baselines.view_tools.information_gain import cached_gain, image_information_gain, information_gain
from baselines.view_tools.reference_model import ReferenceModel


def test_image_information_gain_is_nats_per_token():
    seen = torch.tensor([[-0.2, -1.1, -0.35, -0.05, 9.0]], dtype=torch.float64)
    unseen = torch.tensor([[-0.9, -2.6, -0.3, -0.07, -9.0]], dtype=torch.float64)
    mask = torch.tensor([[True, True, True, True, False]])
    gain = image_information_gain(seen, unseen, mask)
    assert float(gain) == pytest.approx(0.5425, abs=1e-12)
    assert float(gain * 4) == pytest.approx(2.17, abs=1e-12)


@pytest.mark.parametrize("text", ["", "1.2.", "[", '{"gain": 1}', "null", "\0\0"])
def test_an_unreadable_gain_is_computed_again(text: str, dog_pairs: list[Pair], reference: ReferenceModel, tmp_path):
    reference.gains.clear()
    gain = cached_gain(reference, dog_pairs[0], tmp_path)
    (path,) = (tmp_path / "gain").iterdir()
    whole = path.read_text()
    path.write_text(text)
    reference.gains.clear()
    assert cached_gain(reference, dog_pairs[0], tmp_path) == gain == information_gain(reference, dog_pairs[0])
    assert path.read_text() == whole


def test_a_gain_on_disk_is_not_computed_again(dog_pairs: list[Pair], reference: ReferenceModel, tmp_path):
    reference.gains.clear()
    cached_gain(reference, dog_pairs[0], tmp_path)
    (path,) = (tmp_path / "gain").iterdir()
    path.write_text("0.25")
    reference.gains.clear()
    assert cached_gain(reference, dog_pairs[0], tmp_path) == 0.25
    reference.gains.clear()
