"""What setup.cfg cannot say: the README as the page of a package index.

An index has the README alone: pictures of the repository and links into it would lead nowhere
there, and the repository has no public address to lead to. With one, they would be made absolute
here.
"""

import re
from pathlib import Path

from setuptools import setup


def index_page(readme: str) -> str:
    """Returns the README without what needs the files beside it.

    Args:
        readme: The README, in which comments mark what stands in the repository alone.
    """
    page = re.sub(
        r"<!-- repository alone -->.*?<!-- end of repository alone -->",
        "The files that are named here come with the source distribution.",
        readme,
        flags=re.DOTALL,
    )
    page = re.sub(r"<!--.*?-->\n*", "", page, flags=re.DOTALL)
    return re.sub(r"\[([^\]]+)\]\((?!https?://)[^)]*\)", r"\1", page)


setup(
    long_description=index_page(Path("README.md").read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
)
