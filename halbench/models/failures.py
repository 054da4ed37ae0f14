"""Failures of single items, and when they show that the model itself is at fault."""

from collections.abc import Hashable

from halbench.errors import InputError
from halbench.types import Item, Response

MODEL_ERRORS = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError, NotImplementedError, OSError),
    *(RuntimeError, StopIteration, TypeError, ValueError),
)
"""What processors and models raise over one odd prompt or image; anything else is a bug in the backend."""

LONGEST_STREAK = 8  # images in a row with the same failure, after which the run stops


class FailureStreak:
    """Counts the images on which generation failed with one and the same message, with no answer in between.

    It counts images, not items, because a suite may ask many questions about one odd image; a question without an image
    counts by itself.
    """

    def __init__(self) -> None:
        self.problem = ""
        self.images: set[Hashable] = set()

    def end(self) -> None:
        """An answer came."""
        self.images.clear()

    def error_row(self, item: Item, problem: str, advice: str = "") -> Response:
        """The error row of a failed item. Raises InputError, with the advice, once LONGEST_STREAK images failed with one error."""
        if problem != self.problem:
            self.problem, self.images = problem, set()
        self.images.add(item.images or item.id)
        if len(self.images) == LONGEST_STREAK:
            subject = "images" if item.images else "questions"
            raise InputError(
                f"stopping: generation failed for {LONGEST_STREAK} {subject} in a row with the same error: {problem}{advice}"
            )
        return Response(item.id, "", state="error", error=f"generation failed: {problem}")
