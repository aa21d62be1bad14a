"""The options of who is looked for on which pictures, of every command that predicts some."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from .argument_values import positive_number, share_number


def add_person_options(group: argparse._ArgumentGroup) -> None:
    """Adds the options of how persons are found, and which of them are kept."""
    group.add_argument(
        "--score-threshold",
        type=share_number,
        metavar="X",
        help="least score of a person's box, 0 to 1 (default: 0.3; with the bundled detector box "
        "and body points have to score 0.085 together, too: their product)",
    )
    group.add_argument(
        "--nms-threshold",
        type=share_number,
        metavar="X",
        help="of two boxes whose IoU is above this the better one stays (default: 0.45)",
    )
    group.add_argument(
        "--max-persons",
        type=positive_number,
        metavar="N",
        help="keep N persons of a picture, see --prefer",
    )
    group.add_argument(
        "--prefer",
        choices=("score", "largest", "center"),
        help="whom --max-persons keeps: the best scores, the largest or those nearest to the "
        "middle (default: score); in a video with --track a person once kept stays",
    )
    group.add_argument(
        "--tile-side",
        type=positive_number,
        metavar="N",
        help="search larger pictures in overlapping tiles of N pixels too, two to four times as "
        "large as the persons, for those who are small in a large picture; each tile takes time",
    )
    group.add_argument(
        "--flip-test",
        action="store_true",
        help="look at the mirror image of everybody too and take the mean, as evaluations do: a "
        "little more accurate, about twice the pose network's time; with the bundled models it "
        "needs pip install onnx",
    )
    group.add_argument(
        "--keep-doubtful",
        action="store_true",
        help="keep persons whose points say that nobody is there, or somebody who is there "
        "already (default: left out)",
    )


def add_picture_options(group: argparse._ArgumentGroup) -> None:
    """Adds the options of commands that are told once what holds for every picture."""
    group.add_argument(
        "--whole-image",
        action="store_true",
        help="where nobody is found, take the whole picture for one person",
    )
    group.add_argument(
        "--max-pixels",
        type=positive_number,
        metavar="N",
        help="refuse pictures of more pixels (default: 178 million)",
    )


def add_url_options(group: argparse._ArgumentGroup, *, hosts: str, private: str) -> None:
    """Adds the options of where URLs may lead.

    Args:
        group: Gets them.
        hosts: What is true where no host is named, in words.
        private: What --allow-private-urls does besides, in words.
    """
    group.add_argument(
        "--url-hosts",
        action="extend",
        type=lambda text: text.split(","),
        metavar="HOST[,HOST]",
        help="ask these hosts only, in URLs, their redirects and playlists; .example.org is for "
        f"all below it (default: {hosts})",
    )
    group.add_argument(
        "--allow-private-urls",
        action="store_true",
        help="follow redirects and playlists from the internet into private networks, and from "
        f"https to http; {private}",
    )


def check_person_options(given: Mapping[str, Any]) -> None:
    """Checks that the options of persons mean something.

    Raises:
        InvalidArgumentError: One needs another that is not given.
    """
    from ..errors import InvalidArgumentError

    if given["prefer"] is not None and given["max_persons"] is None:
        raise InvalidArgumentError("--prefer says whom --max-persons keeps; give it too")


def predictor_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns options of `Predictor` by name, those that differ from its own.

    Args:
        given: Name of an option -> value, those of `add_model_options` and of all above among
            them.

    Raises:
        InvalidArgumentError: One needs another that is not given, or has an impossible value.
    """
    from ..picture_url import UrlAccess

    check_person_options(given)
    UrlAccess.of(given["url_hosts"], allow_private=given["allow_private_urls"])
    names = (
        *("pose", "detector", "backend", "device", "provider", "threads", "precision"),
        *("max_batch", "score_threshold", "nms_threshold", "max_persons", "prefer"),
        *("square_input", "tile_side", "keep_doubtful", "flip_test", "max_pixels"),
        *("url_hosts", "allow_private_urls"),
    )
    chosen = {name: given[name] for name in names}
    chosen["provider_options"] = dict(given["provider_option"] or ()) or None
    chosen["offline"] = given["offline"] or None
    return {name: value for name, value in chosen.items() if value not in (None, False)}
