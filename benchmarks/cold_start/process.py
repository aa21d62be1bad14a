"""The program whose start is timed: run as text and by itself, so that nothing is imported before.

The models, a picture and the threads come as JSON in the only argument; the points in time, in
seconds since the epoch, go to standard output as JSON.
"""

import time


def main() -> None:
    """Goes from nothing to a second result and tells when it was where."""
    stamps = {"started_s": time.time()}
    from dwpose_infer import Predictor

    stamps["imported_s"] = time.time()
    import json
    import sys
    from pathlib import Path

    task = json.loads(sys.argv[1])
    predictor = Predictor(
        task["pose"], task["detector"], threads=task["threads"], device=task["device"]
    )
    stamps["loaded_s"] = time.time()
    for name in ("first_s", "second_s"):
        predictor(Path(task["picture"]).read_bytes())
        stamps[name] = time.time()
    sys.stdout.write(json.dumps(stamps))


if __name__ == "__main__":
    main()
