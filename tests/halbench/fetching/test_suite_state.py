"""Whether a suite can be scored and run with what the data folder holds."""

from small_data import mmhal_folder

from halbench.data.datasets import Data, read_sources
from halbench.fetching.suite_state import suite_state


def test_images_are_counted_by_the_names_that_the_suite_asks_about(tmp_path):
    state = suite_state("mmhal", read_sources(), mmhal_folder(tmp_path, images=2))
    assert (state.missing, state.optional) == ([], ["mmhal/eval_gpt_mmhal.py"])
    assert (len(state.images or ()), state.absent) == (3, ["2_o.jpg"])
    assert state.ready_to_score()
    assert not state.ready_to_run()


def test_a_suite_without_its_files_is_not_ready_and_its_images_are_not_known(tmp_path):
    state = suite_state("mmhal", read_sources(), Data(tmp_path))
    assert state.missing == ["mmhal/mmhal-bench_answer_template.json"]
    assert state.images is None
    assert not state.ready_to_score()


def test_an_incomplete_image_folder_is_counted_in_the_real_data(data: Data):
    state = suite_state("mmhal", read_sources(), data)
    assert len(state.images or ()) == 96
    assert len(state.absent) == 96 - sum(1 for path in state.folder.iterdir() if path.suffix == ".jpg")
