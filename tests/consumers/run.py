"""Reads our files with the packages they are meant for, each in an environment of its own.

    python tests/consumers/run.py                    # all of them; needs a package index
    python tests/consumers/run.py polars movement    # some
    python tests/consumers/run.py --write            # put the table into docs/formats.md

`make consumers` does the first. An environment lives in a temporary folder and goes with it.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass
from pathlib import Path

from written_files import write_all

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "formats.md"
BEGIN, END = "<!-- consumers: begin -->", "<!-- consumers: end -->"


OURS = ("numpy==2.4.6", "msgspec==0.22.0")
"""What this package's formats need."""

POSE2SIM_NEEDS = (
    *("numpy==2.4.6", "pandas==3.1.1", "scipy==1.17.1", "opencv-python-headless==5.0.0.93"),
    *("matplotlib==3.11.2", "rtoml==0.14.0", "tqdm==4.70.1", "anytree==2.13.0"),
    *("c3d==0.6.0", "lxml==6.1.3"),
)
"""What Pose2Sim's readers import; it wants much more for the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A package that reads our files.

    Attributes:
        name: Its name.
        packages: What is installed, pinned; the first one is the package itself.
        script: Script of this folder that reads the files and compares them.
        files: What it is given, as the table says it.
        with_ours: Whether the script uses this package too, from its source.
        alone: Packages that are installed without what they require, as most of that is not
            needed to read files.
    """

    name: str
    packages: tuple[str, ...]
    script: str
    files: str
    alone: tuple[str, ...] = ()
    with_ours: bool = False

    @property
    def tried(self) -> str:
        """The package, or the packages, with their versions, as the table says it."""
        named = self.alone or self.packages
        return ", ".join(each.replace("==", " ") for each in named)


CONSUMERS = (
    Consumer(
        name="pose-format",
        packages=("pose-format==0.15.0",),
        script="read_pose_format.py",
        files="folder of OpenPose files, `--for pose-format`",
    ),
    Consumer(
        name="pose-file",
        packages=("pose-format==0.15.0",),
        script="read_pose_file.py",
        files="`pose` of a clip",
        with_ours=True,
    ),
    Consumer(
        name="pose2sim",
        alone=("pose2sim==0.10.49",),
        packages=POSE2SIM_NEEDS,
        script="read_pose2sim.py",
        files="folder of OpenPose files, `--for pose2sim` and `--for pose2sim-133`",
    ),
    Consumer(
        name="opensim",
        alone=("opensim==4.6", "pose2sim==0.10.49"),
        packages=POSE2SIM_NEEDS,
        script="read_trc.py",
        files="`trc` of a clip",
    ),
    Consumer(
        name="controlnet-aux",
        alone=("controlnet-aux==0.0.10",),
        packages=("numpy==2.4.6", "opencv-python-headless==5.0.0.93", "matplotlib==3.11.2"),
        script="draw_controlnet_aux.py",
        files="an OpenPose file, `--for controlnet`; places, and colours beside our drawing",
    ),
    Consumer(
        name="pycocotools",
        packages=("pycocotools==2.0.11",),
        script="read_pycocotools.py",
        files="`coco`, `coco-dataset` in both layouts; AP of the one by the other",
    ),
    Consumer(
        name="sleap-io",
        packages=("sleap-io==0.9.5",),
        script="read_sleap_io.py",
        files="`coco-dataset`, `--for sleap-io`",
    ),
    Consumer(
        name="fiftyone",
        packages=("fiftyone==1.22.1",),
        script="read_fiftyone.py",
        files="`coco-dataset`, `--for fiftyone`",
    ),
    Consumer(
        name="datumaro",
        packages=("datumaro==1.13.12",),
        script="read_datumaro.py",
        files="`coco-dataset`, one list, as `annotations/person_keypoints_default.json`",
    ),
    Consumer(
        name="supervision",
        packages=("supervision==0.31.2",),
        script="read_supervision.py",
        files="`to_supervision()`, with its bones drawn; boxes of `coco-dataset`",
        with_ours=True,
    ),
    Consumer(
        name="movement",
        packages=("movement==0.15.0",),
        script="read_movement.py",
        files="`load_clip(...).as_array()`",
    ),
    Consumer(
        name="ndx-pose",
        packages=("ndx-pose==0.4.0",),
        script="read_nwb.py",
        files="`nwb` of a clip, and pynwb's check of it",
        with_ours=True,
    ),
    Consumer(
        name="sleap-file",
        packages=("sleap-io==0.9.5", "movement==0.15.0"),
        script="read_sleap_file.py",
        files="`sleap` of a clip",
        with_ours=True,
    ),
    Consumer(
        name="polars",
        packages=("polars==2.1.0", "duckdb==2.0.1"),
        script="read_tables.py",
        files="`csv`, `parquet` and `jsonl` of a clip; `to_dataframe()`",
        with_ours=True,
    ),
)
"""The packages, one environment each."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a reading ended: None where a point differs or an installation fails."""

    points: int | None
    said: str


def read_with(consumer: Consumer, files: Path) -> Outcome:
    """Installs a package into a new environment and lets it read the files."""
    with tempfile.TemporaryDirectory(prefix=f"consumer-{consumer.name}-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # What a package keeps of its own beside its user's files is no business of ours.
        environment = os.environ | {"FIFTYONE_DO_NOT_TRACK": "1", "FIFTYONE_DATABASE_DIR": folder}
        if consumer.with_ours:
            environment |= {"PYTHONPATH": str(HERE.parents[1])}
        commands: list[list[str | Path]] = []
        if consumer.alone:
            commands.append([*pip, "--no-deps", *consumer.alone])
        commands.append([*pip, *consumer.packages, *(OURS if consumer.with_ours else ())])
        commands.append([python, "-W", "ignore", HERE / consumer.script, files])
        said = ""
        for command in commands:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, env=environment
            )
            if done.returncode != 0:
                return Outcome(None, (done.stderr or done.stdout).strip()[-2000:])
            said = done.stdout.strip()
    return Outcome(sum(map(int, re.findall(r": (\d+) points", said))), said)


def table_of(outcomes: dict[str, Outcome]) -> str:
    """The table for the page."""
    rows = ["| read by | what | points compared by name |", "|---|---|---|"]
    for consumer in CONSUMERS:
        outcome = outcomes[consumer.name]
        found = "failed" if outcome.points is None else f"{outcome.points} of {outcome.points}"
        rows.append(f"| {consumer.tried} | {consumer.files} | {found} |")
    return "\n".join(rows)


def write_table(table: str) -> None:
    """Puts the table into the page, in place of the one before."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    said = f"Tried on {time.strftime('%Y-%m-%d')} with Python {platform.python_version()}."
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n\n{said}\n{END}{after}", encoding="utf-8")


def main() -> int:
    """Reads the files with the packages asked for, and says how it went."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    names = [consumer.name for consumer in CONSUMERS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names) + " (all)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/formats.md")
    given = parser.parse_args()
    unknown = set(given.names) - set(names)
    if unknown or (given.write and given.names):
        parser.error(f"unknown: {', '.join(unknown)}" if unknown else "--write takes all of them")
    outcomes = {}
    with tempfile.TemporaryDirectory(prefix="consumers-") as folder:
        write_all(Path(folder))
        for consumer in CONSUMERS:
            if given.names and consumer.name not in given.names:
                continue
            outcome = outcomes[consumer.name] = read_with(consumer, Path(folder))
            print(f"{consumer.name}: {'failed' if outcome.points is None else 'ok'}")
            print(*(f"  {line}" for line in outcome.said.splitlines()), sep="\n", flush=True)
    if given.write:
        write_table(table_of(outcomes))
    failed = [name for name, outcome in outcomes.items() if outcome.points is None]
    print(f"{len(outcomes) - len(failed)} packages read our files, {len(failed)} do not", *failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
