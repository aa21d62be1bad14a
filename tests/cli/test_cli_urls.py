"""Where the command asks: `--url-hosts` and `--allow-private-urls`."""

from __future__ import annotations

import pytest

from dwpose_infer.cli.infer import main
from dwpose_infer.errors import InputError
from dwpose_infer.predictor import Predictor


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/a.jpg", "http://127.0.0.1:1/a.mp4"])
def test_hosts_that_are_not_listed_are_not_asked(url, tmp_path, capsys):
    listed = ["--url-hosts", "example.org,.example.net", "--url-hosts", "example.com"]
    assert main([url, "--out", str(tmp_path / "out"), *listed]) == 1
    said = capsys.readouterr().err
    assert "127.0.0.1, which is not among the hosts allowed: example.org, .example.net, " in said


def test_what_is_no_host_is_wrong_usage(capsys):
    assert main(["http://127.0.0.1:1/a.jpg", "--url-hosts", "http://example.org"]) == 2
    assert "is no name of a host; give the name alone" in capsys.readouterr().err


def test_they_are_for_urls(astronaut, capsys):
    options = ["--url-hosts", "example.org", "--allow-private-urls"]
    assert main([str(astronaut), *options]) == 2
    said = capsys.readouterr().err
    assert "--url-hosts, --allow-private-urls are for URLs, and no input is one" in said


def test_the_predictor_obeys_it_for_pictures_and_videos():
    with Predictor(url_hosts=["example.org"]) as predictor:
        with pytest.raises(InputError, match="not among the hosts allowed"):
            predictor("http://127.0.0.1:1/a.jpg")
        with pytest.raises(InputError, match="not among the hosts allowed"):
            predictor.stream("http://127.0.0.1:1/a.mp4")
