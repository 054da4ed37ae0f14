"""Failures of single items, and when they are the model's own."""

from halbench.errors import InputError
from halbench.types import Item, Response

IMAGES = 8  # that meet one and the same failure in a row, after which the model is taken to be at fault


class Failures:
    """Counts the images on which generation failed with one message, without any answer in between. A suite may ask many
    questions of an image, so one odd image alone never stops a run."""

    def __init__(self) -> None:
        self.problem = ""
        self.images: set[str] = set()

    def answered(self) -> None:
        self.images.clear()

    def row(self, item: Item, problem: str, advice: str = "") -> Response:
        """The error row of an item. Raises InputError where the model is at fault; advice: what the user may then do."""
        if problem != self.problem:
            self.problem, self.images = problem, set()
        self.images.add(str(item.image))
        if len(self.images) == IMAGES:
            raise InputError(
                f"the items of {IMAGES} images in a row failed with the same message, so the model is taken to be at fault: "
                f"{problem}{advice}"
            )
        return Response(item.id, "", state="error", error=f"generation failed: {problem}")
