"""Which files and images of a suite exist, and which are missing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from halbench.data.datasets import Data, Sources, path_of
from halbench.evaluation.suites import load_suite, open_task


@dataclass(frozen=True)
class SuiteState:
    """Which files of a suite exist; their content is not checked. missing: files needed for scoring that do not exist.
    optional: other files that do not exist.

    images: names of the images that a run needs; None while the files that list them are missing; () for a suite without
    images. absent: those that are not in `folder`.
    """

    suite: str
    missing: Sequence[str]
    optional: Sequence[str]
    folder: Path
    images: Sequence[str] | None = ()
    absent: Sequence[str] = field(default=())

    def ready_to_score(self) -> bool:
        return not self.missing

    def ready_to_run(self) -> bool:
        return not self.missing and self.images is not None and not self.absent

    def summary(self) -> str:
        """One line: "mmhal            score: ready    run: 22 of 96 images"."""
        score = "ready" if self.ready_to_score() else f"not ready, {len(self.missing)} missing"
        if self.images is None:
            run = "unknown until its files are fetched"
        elif self.images:
            run = f"{len(self.images) - len(self.absent):,} of {len(self.images):,} images"
        else:
            return f"{self.suite:16} score: {score}"
        return f"{self.suite:16} score: {score:22} run: {run}"


def suite_state(suite: str, sources: Sources, data: Data) -> SuiteState:
    """The state of a suite's files and images, without hashing them."""
    nonexistent = [source for source in sources.of(suite) if not path_of(source, data).is_file()]
    missing = [source.file for source in nonexistent if source.use == "score"]
    optional = [source.file for source in nonexistent if source.use == "optional"]
    folder = data.image_folder(suite)
    if suite not in sources.images:
        return SuiteState(suite, missing, optional, folder)
    if missing:
        return SuiteState(suite, missing, optional, folder, images=None)
    images = image_names(suite, data)
    existing = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return SuiteState(suite, missing, optional, folder, images, [name for name in images if name not in existing])


def image_names(suite: str, data: Data) -> list[str]:
    """File names of the images that a run of a suite with its default options needs, each once."""
    loaded = load_suite(suite)
    items = open_task(loaded, data, loaded.options()).items
    return list(dict.fromkeys(path.name for item in items for path in item.images))
