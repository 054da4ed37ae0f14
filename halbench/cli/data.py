"""`halbench data`: fetch the data of the suites, verify it against the pinned SHA-256, say what is there and what is not.

Exit codes: 0 all that is needed to score is there and right; 2 otherwise (`status` always ends with 0).
"""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from halbench.cli.options import AsJson, DataFolder
from halbench.errors import INCOMPLETE

if TYPE_CHECKING:
    from halbench.datasets import ImageSource, Sources, SuiteState

SuiteArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[SUITE]", help="amber, chair, mmhal, object_halbench, pope or nltk_data; all when left out."
    ),
]


def add_to(app: typer.Typer) -> None:
    data = typer.Typer(
        help="Fetch, verify and list the data of the suites.", no_args_is_help=True, rich_markup_mode=None
    )
    for verb in (fetch, verify, status):
        data.command(verb.__name__)(verb)
    app.add_typer(data, name="data")


def fetch(
    suite: SuiteArgument = None,
    images: Annotated[
        bool,
        typer.Option(
            "--images",
            help="Also the images that a run asks about (chair, object_halbench, pope: 50 to 80 MB; mmhal: 170 MB).",
        ),
    ] = False,
    data: DataFolder = None,
    mirror: Annotated[
        str | None, typer.Option(metavar="URL", help="Stands in for scheme and host of every address; the path stays.")
    ] = None,
) -> None:
    """Download what is missing, check its SHA-256, and build the COCO objects of CHAIR from COCO's annotations.

    Interrupted downloads go on where they stopped. What cannot be had is listed with the place it belongs in.
    """
    from halbench.datasets import open_data, read_sources, suite_state
    from halbench.fetching import Downloader, fetch_files, fetch_images

    folder, sources = open_data(data), read_sources()
    wanted = sources.of(suite)
    suites = sources.suites() if suite is None else [suite]
    with Downloader(mirror) as downloader:
        problems = fetch_files(wanted, sources, folder, downloader)
        for name in suites if images else []:
            if name in sources.images:
                problems += fetch_images(sources.images[name], sources, folder, downloader)
    for name in suites:
        print(summary(suite_state(name, sources, folder)))
    for problem in problems:
        print(f"halbench: {problem}", file=sys.stderr)
    if problems:
        print("halbench: files put in place by hand are used when the same command runs again", file=sys.stderr)
        raise typer.Exit(INCOMPLETE)


def verify(suite: SuiteArgument = None, data: DataFolder = None, as_json: AsJson = False) -> None:
    """Hash every file that is there and compare it with the pinned SHA-256."""
    from halbench.datasets import file_states, open_data, read_sources

    folder = open_data(data)
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
        print(json.dumps({"data": str(folder.root), "ok": not wrong, "files": rows}, indent=1))
    else:
        for state in states:
            optional = " (optional)" if state.source.use == "optional" else ""
            differing = f"  expected {state.expected}, found {state.found}" if state.state == "differs" else ""
            print(f"{state.state:9} {state.source.file}{optional}{differing}")
    if wrong:
        gone = sum(state.state == "missing" for state in wrong)
        print(f"halbench: {folder.root}: needed files: {gone} missing, {len(wrong) - gone} differ", file=sys.stderr)
        raise typer.Exit(INCOMPLETE)


def status(suite: SuiteArgument = None, data: DataFolder = None, as_json: AsJson = False) -> None:
    """Per suite: what is needed to score stored responses and to run a model, what is missing, and how to get it."""
    from halbench.datasets import open_data, read_sources, suite_state

    folder, sources = open_data(data), read_sources()
    sources.of(suite)  # complains about an unknown suite
    states = [suite_state(name, sources, folder) for name in (sources.suites() if suite is None else [suite])]
    steps = {state.suite: next_steps(state, sources, f" --data {data}" if data else "") for state in states}
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
        print(json.dumps({"data": str(folder.root), "suites": rows}, indent=1))
        return
    print(f"data folder: {folder.root}")
    for state in states:
        print(summary(state))
        for step in steps[state.suite]:
            print(f"{'':16} {step}")


def summary(state: "SuiteState") -> str:
    """One line: "mmhal            score: ready    run: 22 of 96 images"."""
    score = "ready" if state.ready_to_score() else f"not ready, {len(state.missing)} missing"
    if state.images is None:
        run = "needs the files first"
    elif state.images:
        run = f"{len(state.images) - len(state.absent):,} of {len(state.images):,} images"
    else:
        return f"{state.suite:16} score: {score}"
    return f"{state.suite:16} score: {score:22} run: {run}"


def next_steps(state: "SuiteState", sources: "Sources", options: str) -> list[str]:
    """What to do to have the rest: a command, or which file to put where."""
    steps = []
    if state.missing or state.optional:
        kind = "missing" if state.missing else "optional"
        steps.append(
            f"{kind}: {', '.join(named(state.missing or state.optional))}; get with: halbench data fetch {state.suite}{options}"
        )
    if state.absent:
        steps.append(f"images in {state.folder}: {image_step(sources.images[state.suite], state, options)}")
    return steps


def named(files: Sequence[str]) -> list[str]:
    """File names, those of NLTK's resources as one."""
    nltk = [name for name in files if name.startswith("nltk_data/")]
    return [name for name in files if name not in nltk] + ([f"nltk_data ({len(nltk)} files)"] if nltk else [])


def image_step(images: "ImageSource", state: "SuiteState", options: str) -> str:
    if images.by_hand:
        return images.by_hand.format(folder=state.folder)
    return f"get with: halbench data fetch {state.suite} --images{options}"
