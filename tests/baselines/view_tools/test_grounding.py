"""Transformers' grounding models, tiny and untrained."""

from pathlib import Path

import pytest
import tiny_detectors
from noise_images import noise_image

from baselines.view_tools.regions import box_mask
from halbench.errors import InputError
from halbench.scenes import checkpoint_path


def test_grounding_dino_gives_boxes_and_sam_their_outlines(tmp_path: Path):
    from baselines.view_tools.grounding import open_grounder

    tiny_detectors.grounding_dino(tmp_path / "dino")
    tiny_detectors.sam(tmp_path / "sam")
    image = noise_image((100, 70), 80)
    boxed = open_grounder(str(tmp_path / "dino"), threshold=0.0, device="cpu")
    hits = boxed.find(image, ["dog", "cup"])
    assert set(hits) == {"dog", "cup"}
    assert all(0 <= r.box[0] < r.box[2] <= 100 and 0 <= r.box[1] < r.box[3] <= 70 for r in hits["dog"].regions)
    assert (hits["dog"].mask == box_mask(image.size, hits["dog"].regions)).all()
    assert boxed.find(image, ["dog"])["dog"].regions == hits["dog"].regions, "searched for alone or with others"
    assert open_grounder(str(tmp_path / "dino"), threshold=1.0, device="cpu").find(image, ["dog"]) == {}
    outlined = open_grounder(str(tmp_path / "dino"), str(tmp_path / "sam"), threshold=0.0, device="cpu")
    assert outlined.identity != boxed.identity
    for region in outlined.find(image, ["dog"]).values():
        assert region.mask.shape == (70, 100)


def test_a_checkpoint_that_is_no_detector_is_refused_in_one_line(tmp_path: Path):
    from baselines.view_tools.grounding import open_grounder

    with pytest.raises(InputError, match="cannot be loaded as a grounding model"):
        open_grounder(str(checkpoint_path("base")))
