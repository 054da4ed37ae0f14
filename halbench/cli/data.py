"""`halbench data`: fetch the data of the suites, verify it against the pinned SHA-256, list what is missing.

Exit codes: 0 all files needed for scoring exist and are right; 2 otherwise (`status` always exits with 0).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from halbench.cli.flags import Only, with_flags
from halbench.cli.options import AsJson
from halbench.errors import BAD_INPUT_OR_INCOMPLETE
from halbench.evaluation.choice import DataChoice
from halbench.terminal.lines import show, show_json
from halbench.terminal.progress import say

if TYPE_CHECKING:
    from halbench.data.datasets import ImageSource, Sources
    from halbench.fetching.suite_state import SuiteState

SuiteArgument = Annotated[
    str | None,
    typer.Argument(metavar="SUITE", help="A suite, or nltk_data. Default: all."),
]
Folder = Annotated[DataChoice, Only("data")]


def add_to(app: typer.Typer) -> None:
    data = typer.Typer(help="Fetch, verify and list the suites' data.", no_args_is_help=True, rich_markup_mode=None)
    for verb in (fetch, verify, status):
        data.command(verb.__name__)(with_flags(verb))
    app.add_typer(data, name="data")


def fetch(
    *,
    choice: Folder,
    suite: SuiteArgument = None,
    images: Annotated[
        bool,
        typer.Option(
            "--images",
            help="Also fetch the images that a run needs, if they are public.",
        ),
    ] = False,
    mirror: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Replace the scheme and host of every address, e.g. by https://mirror.example; paths are kept.",
        ),
    ] = None,
) -> None:
    """Download missing files, check their SHA-256, and build CHAIR's ground truth from COCO's annotations.

    Interrupted downloads resume. Files that cannot be fetched are listed, with where to get them and where to put them.
    """
    from halbench.data.datasets import read_sources
    from halbench.fetching.downloads import Downloader
    from halbench.fetching.fetch import fetch_files, fetch_images, one_fetch_at_a_time
    from halbench.fetching.suite_state import suite_state

    folder, sources = choice.open(), read_sources()
    files = sources.of(suite)
    suites = sources.suites() if suite is None else [suite]
    downloader = Downloader(mirror)
    with one_fetch_at_a_time(folder):
        problems = fetch_files(files, sources, folder, downloader)
        for name in suites if images else []:
            if name in sources.images:
                problems += fetch_images(sources.images[name], sources, folder, downloader)
    for name in suites:
        show(suite_state(name, sources, folder).summary())
    for problem in problems:
        say(problem)
    if problems:
        say("get these files by hand, then repeat the command")
        raise typer.Exit(BAD_INPUT_OR_INCOMPLETE)


def verify(*, choice: Folder, suite: SuiteArgument = None, as_json: AsJson = False) -> None:
    """Hash every data file and compare it with the pinned SHA-256."""
    from halbench.data.datasets import file_states, read_sources

    folder = choice.open()
    states = file_states(read_sources().of(suite), folder)
    wrong = [
        state
        for state in states
        if state.state == "differs" or (state.state == "missing" and state.source.use == "score")
    ]
    if as_json:
        rows = [
            {
                "file": s.source.file,
                "path": str(s.path),
                "use": s.source.use,
                "state": s.state,
                "expected": s.expected,
                "found": s.found,
            }
            for s in states
        ]
        show_json({"data": str(folder.root), "ok": not wrong, "files": rows})
    else:
        for state in states:
            optional = " (optional)" if state.source.use == "optional" else ""
            differing = f"  expected {state.expected}, found {state.found}" if state.state == "differs" else ""
            show(f"{state.state:9} {state.source.file}{optional}{differing}")
    if wrong:
        missing = sum(state.state == "missing" for state in wrong)
        counts = f"{missing} required files are missing, {len(wrong) - missing} files differ"
        say(f"{folder.root}: {counts}")
        raise typer.Exit(BAD_INPUT_OR_INCOMPLETE)


def status(*, choice: Folder, suite: SuiteArgument = None, as_json: AsJson = False) -> None:
    """For each suite: whether it can be scored and run, what is missing, and how to get it."""
    from halbench.data.datasets import read_sources
    from halbench.fetching.suite_state import suite_state

    folder, sources = choice.open(), read_sources()
    sources.of(suite)  # raises for an unknown suite
    states = [suite_state(name, sources, folder) for name in (sources.suites() if suite is None else [suite])]
    steps = {
        state.suite: next_steps(state, sources, f" --data {choice.data}" if choice.data else "") for state in states
    }
    if as_json:
        rows = [
            {
                "suite": state.suite,
                "score": {"ready": state.ready_to_score(), "missing": state.missing},
                "run": {
                    "ready": state.ready_to_run(),
                    "images": None if state.images is None else len(state.images),
                    "images_missing": None if state.images is None else len(state.absent),
                    "folder": str(state.folder),
                },
                "optional_missing": state.optional,
                "next": steps[state.suite],
            }
            for state in states
        ]
        show_json({"data": str(folder.root), "suites": rows})
        return
    show(f"data folder: {folder.root}")
    for state in states:
        show(state.summary())
        for step in steps[state.suite]:
            show(f"{'':16} {step}")


def next_steps(state: "SuiteState", sources: "Sources", options: str) -> list[str]:
    """How to get what is missing: a command, or which file to put where."""
    steps = []
    if state.missing or state.optional:
        kind = "missing" if state.missing else "optional"
        steps.append(
            f"{kind}: {', '.join(file_names(state.missing or state.optional))}; fetch with: halbench data fetch {state.suite}{options}"
        )
    if state.absent:
        steps.append(f"images in {state.folder}: {image_step(sources.images[state.suite], state, options)}")
    return steps


def file_names(files: Sequence[str]) -> list[str]:
    """File names, with all of NLTK's resources as one."""
    nltk = [name for name in files if name.startswith("nltk_data/")]
    return [name for name in files if name not in nltk] + ([f"nltk_data ({len(nltk)} files)"] if nltk else [])


def image_step(images: "ImageSource", state: "SuiteState", options: str) -> str:
    """How to get the missing images of a suite."""
    if images.by_hand:
        return images.by_hand.format(folder=state.folder)
    return f"fetch with: halbench data fetch {state.suite} --images{options}"
