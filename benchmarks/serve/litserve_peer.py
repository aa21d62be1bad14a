"""A process that serves a `Predictor` through LitServe: port, pose, detector, threads.

Annotations are evaluated here: LitServe asks those of `decode_request` what it is to be given.
"""

import base64
import sys
from typing import Any

import litserve
import numpy as np
from fastapi import Request, Response

from ...formats.codecs import FORMATS, encode
from ...images import read_image
from ...predictor import Predictor
from ...results import PoseResult

MAX_PICTURES = 8
"""Of a batch, as dwpose-serve has it where pictures share batches."""

DELAY_S = 0.003
"""How long the first picture of a batch waits for others, as there."""


class PoseApi(litserve.LitAPI):  # type: ignore[misc]
    """Pictures in, results out."""

    def __init__(self, pose: str, detector: str, threads: int) -> None:
        super().__init__(max_batch_size=MAX_PICTURES, batch_timeout=DELAY_S)
        self._models = (pose, detector)
        self._threads = threads

    def setup(self, device: str) -> None:
        """Loads the networks, in LitServe's worker."""
        self._predictor = Predictor(*self._models, threads=self._threads)
        self._predictor(np.zeros((64, 64, 3), np.uint8), whole_image=True)

    def decode_request(self, request: Request) -> Any:
        """Returns the picture of a request's JSON."""
        return read_image(base64.b64decode(request["images"][0]["data"]))

    def batch(self, inputs: Any) -> list[Any]:
        """Keeps pictures as they are, for they differ in size."""
        return list(inputs)

    def unbatch(self, output: Any) -> Any:
        """Keeps results as they are."""
        return output

    def predict(self, x: Any) -> Any:
        """Returns the results of pictures."""
        return self._predictor(x)

    def encode_response(self, output: PoseResult) -> Response:
        """Returns a result as JSON."""
        return Response(encode([output], FORMATS["json"]), media_type="application/json")


def main(port: str, pose: str, detector: str, threads: str) -> None:
    """Serves until it is told to stop."""
    api = PoseApi(pose, detector, int(threads))
    server = litserve.LitServer(api, accelerator="cpu", timeout=60)
    server.run(host="127.0.0.1", port=int(port), log_level="warning", generate_client_file=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
