"""The sheet on which a person sees scenes, their truth and a model's descriptions."""

from halbench.scenes.world import WORLD, sample_scenes
from halbench.scenes_tools.contact_sheet import RIGHT, WRONG, contact_sheet, marked


def test_a_sheet_marks_present_and_absent_objects():
    words = {word.text: word.colour for word in marked("A red fork and two knives.", {"fork"})}
    assert words["fork"] == RIGHT
    assert words["knives."] == WRONG
    assert words["red"] not in (RIGHT, WRONG)


def test_a_sheet_has_a_panel_for_each_scene():
    scenes = sample_scenes(WORLD, 0, "evaluation", range(3))
    sheet = contact_sheet([(scene, "There is a fork.") for scene in scenes])
    assert sheet.height > 2 * WORLD.pixels * 3
    colours = {colour for _, colour in sheet.getcolors(sheet.width * sheet.height) or []}
    assert RIGHT in colours or WRONG in colours
