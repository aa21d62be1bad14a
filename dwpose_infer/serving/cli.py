"""The command `dwpose-serve`: poses over HTTP."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ..cli.argument_values import finite_number, positive_number
from ..cli.model_options import add_model_options, runtime_of
from ..cli.picture_options import add_person_options, add_url_options, check_person_options
from ..cli.standard_options import run_command, standard_parser
from ..cores import usable_cores
from ..errors import InvalidArgumentError, needs_extra

if TYPE_CHECKING:
    from ..picture_url import UrlAccess
    from ..pipeline import Pipeline
    from ..runtime import Runtime
    from .batching import PerCore

TOKEN_VARIABLE = "DWPOSE_SERVE_TOKEN"

_EPILOG = f"""\
paths:
  POST /v1/predict   a picture's bytes, a form with files, or JSON with base64 or URLs; ?format=
                     json|openpose|coco|coco-dataset|npz|csv|parquet, or ?draw=overlay|openpose
  GET  /healthz      the process answers      GET /readyz   the networks are warm
  GET  /metrics      for Prometheus           GET /docs     every option, to try out

examples:
  dwpose-serve
  curl --data-binary @photo.jpg http://127.0.0.1:8000/v1/predict
  curl -F a=@one.jpg -F b=@two.jpg 'http://127.0.0.1:8000/v1/predict?format=openpose'

It listens on this machine alone unless --host says otherwise; then set a token in the environment
variable {TOKEN_VARIABLE}, which requests carry as `Authorization: Bearer ...`, and put
TLS in front. SIGTERM and Ctrl-C finish what was accepted. Needs pip install "dwpose-infer[serve]".

exit status:
  0 stopped    1 failed    2 wrong usage    3 backend, device or optional package unavailable
  4 model not available
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        Exit status, see `dwpose-serve --help`.
    """
    return run_command(_parser(), _serve, argv)


def _serve(arguments: argparse.Namespace) -> int:
    with needs_extra("the service needs more packages", "serve"):
        import_module("fastapi_offline")  # of create_app: it is missed before networks load
        import uvicorn

        from .app import create_app
    from .settings import ServiceLimits, ServiceSettings

    check_person_options(vars(arguments))
    if arguments.web is not None and not (arguments.web / "index.html").is_file():
        raise InvalidArgumentError(f"--web {arguments.web}: there is no index.html; run make web")
    settings = ServiceSettings(
        limits=ServiceLimits(
            max_body_bytes=arguments.max_body_mib * 2**20,
            max_pixels=arguments.max_pixels,
            max_pictures=arguments.max_pictures,
            max_waiting=arguments.max_waiting,
            max_tiles=arguments.max_tiles,
            timeout_s=arguments.timeout,
        ),
        token=os.environ.get(TOKEN_VARIABLE) or None,
        delay_ms=3.0 if arguments.delay_ms is None else arguments.delay_ms,
        web=arguments.web,
        urls=_urls(arguments),
    )
    if arguments.host not in ("127.0.0.1", "::1", "localhost") and settings.token is None:
        print(
            f"dwpose-serve: {arguments.host} is open to others, and no token is set "
            f"({TOKEN_VARIABLE})",
            file=sys.stderr,
        )
    with _listen(arguments.host, arguments.port) as place:
        pipeline, per_core = _open_networks(arguments)
        config = uvicorn.Config(
            create_app(pipeline, settings, per_core=per_core),
            log_level="warning" if arguments.quiet else "info",
            timeout_graceful_shutdown=round(arguments.timeout) + 1,
            server_header=False,
        )
        # When all is finished it raises the signal again that stopped it.
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[place])
    return 0


def _urls(arguments: argparse.Namespace) -> UrlAccess | None:
    from ..picture_url import UrlAccess

    if arguments.url_hosts is not None:
        return UrlAccess.of(arguments.url_hosts, allow_private=arguments.allow_private_urls)
    if arguments.allow_private_urls:
        raise InvalidArgumentError(
            "--allow-private-urls is for pictures behind URLs; name their hosts with --url-hosts"
        )
    return None


def _open_networks(arguments: argparse.Namespace) -> tuple[Pipeline, PerCore | None]:
    """Returns the networks, and on a CPU those of the workers, see `batching`."""
    from .batching import PerCore

    runtime = runtime_of(vars(arguments), progress=sys.stderr.isatty())
    pipeline = _open(arguments, runtime)
    if pipeline.overlap or runtime.backend != "ort":
        return pipeline, None
    if arguments.delay_ms is not None:
        raise InvalidArgumentError(
            "--delay-ms is for pictures that share batches, on GPUs and with --backend openvino; "
            "ONNX Runtime on a CPU takes them one by one on each core"
        )
    workers = runtime.threads or usable_cores()
    single = pipeline if workers == 1 else _open(arguments, replace(runtime, threads=1))
    return pipeline, PerCore(pipeline=single, workers=workers)


def _open(arguments: argparse.Namespace, runtime: Runtime) -> Pipeline:
    from ..pipeline import detector_options, open_pipeline
    from ..zoo import DEFAULT_DETECTOR, DEFAULT_POSE

    detector = arguments.detector or DEFAULT_DETECTOR
    return open_pipeline(
        arguments.pose or DEFAULT_POSE,
        detector,
        runtime,
        detector_options(
            detector,
            score_threshold=arguments.score_threshold,
            nms_threshold=arguments.nms_threshold,
            max_persons=arguments.max_persons,
            prefer=arguments.prefer or "score",
            square_input=arguments.square_input,
            tile_side=arguments.tile_side,
        ),
        flip_test=arguments.flip_test,
        keep_doubtful=arguments.keep_doubtful,
    )


def _listen(host: str, port: int) -> socket.socket:
    """Takes the address before the networks are loaded, which takes longer."""
    try:
        place = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
        # Connections inherit it; asyncio sets it only on sockets that name their protocol, which
        # these do not. Without it the answers of a kept connection can wait 40 ms each.
        place.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return place
    except OSError as error:
        raise InvalidArgumentError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; choose another "
            "with --host or --port"
        ) from error


def _parser() -> argparse.ArgumentParser:
    parser = standard_parser(
        "dwpose-serve",
        "Serve whole-body poses over HTTP, to many clients at once.",
        _EPILOG,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, default=8000, metavar="N", help="default: 8000")
    parser.add_argument(
        "--web", type=Path, metavar="DIR", help="serve the browser page of `make web` at /"
    )
    parser.add_argument("--quiet", action="store_true", help="log warnings and errors only")
    add_model_options(parser.add_argument_group("models and where they run"))
    add_person_options(parser.add_argument_group("persons"))
    add_url_options(
        parser.add_argument_group('URLs, as in {"images": [{"url": ...}]}'),
        hosts="URLs are refused",
        private="hosts that are named may be private",
    )
    limits = parser.add_argument_group("limits")
    for name, default, text in (
        ("--max-body-mib", 64, "size of a request"),
        ("--max-pixels", 50_000_000, "pixels of a picture, before it is decoded"),
        ("--max-pictures", 32, "pictures of one request"),
        ("--max-waiting", 64, "pictures of all requests that may wait; more are answered 429"),
        ("--max-tiles", 128, "tiles in which a picture may be searched, by tile_side"),
    ):
        limits.add_argument(
            name,
            type=positive_number,
            default=default,
            metavar="N",
            help=f"{text} (default: {default:,})",
        )
    limits.add_argument(
        "--timeout",
        type=finite_number,
        default=30.0,
        metavar="S",
        help="seconds after which a request is given up, with 504 (default: 30)",
    )
    limits.add_argument(
        "--delay-ms",
        type=finite_number,
        metavar="MS",
        help="longest time a picture waits for others to share its batch, where they do: on GPUs "
        "and with --backend openvino (default: 3)",
    )
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port, 0 to 65535")
    return int(text)


if __name__ == "__main__":
    raise SystemExit(main())
