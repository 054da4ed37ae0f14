"""Small copies of images."""

from PIL import Image

from reports.thumbnails import thumbnail


def test_a_damaged_image_has_no_thumbnail(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (60, 60), "red").save(path)
    content = bytearray(path.read_bytes())
    content[37:41] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert thumbnail(path) is None
