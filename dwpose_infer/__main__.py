"""`python -m dwpose_infer` is the command `dwpose-infer`."""

from __future__ import annotations

from .cli.infer import main

if __name__ == "__main__":
    raise SystemExit(main())
