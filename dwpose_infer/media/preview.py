"""A window that shows frames while they are made, where this OpenCV has windows at all."""

from __future__ import annotations

import re
from typing import Final

import cv2

from ..arrays import UInt8Array
from ..closing import ClosesOnExit
from ..errors import BackendUnavailableError, MissingDependencyError
from ..wheels import opencv_wheels

_GUI_LINE: Final = re.compile(r"^\s*GUI:\s*(.*)$", re.MULTILINE)
"""Where `cv2.getBuildInformation` names the toolkit of its windows, or NONE."""

_QUIT_KEYS: Final = frozenset({27, ord("q")})
"""Escape and q."""


class PreviewWindow(ClosesOnExit):
    """A window with the latest picture; Escape, q or its close button end it."""

    def __init__(self, title: str = "dwpose-infer") -> None:
        """Opens the window.

        Args:
            title: Its title.

        Raises:
            MissingDependencyError: This OpenCV was built without windows.
            BackendUnavailableError: There is no display.
        """
        require_gui()
        self._title = title
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        except cv2.error as error:
            raise BackendUnavailableError(
                "a window cannot be opened; is there a display (DISPLAY or WAYLAND_DISPLAY)?"
            ) from error
        self._open = True

    def show(self, image_bgr: UInt8Array) -> bool:
        """Shows a picture; call it from the thread that opened the window.

        Args:
            image_bgr: (H, W, 3) uint8, BGR.

        Returns:
            Whether the window is still wanted.
        """
        if self._open:
            cv2.imshow(self._title, image_bgr)
            quit_pressed = cv2.waitKey(1) & 0xFF in _QUIT_KEYS
            visible = cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
            if quit_pressed or not visible:
                self.close()
        return self._open

    def close(self) -> None:
        """Closes the window; may be called again."""
        if self._open:
            self._open = False
            cv2.destroyWindow(self._title)


def has_gui() -> bool:
    """Tells whether this OpenCV was built with windows; the headless wheels are not."""
    found = _GUI_LINE.search(cv2.getBuildInformation())
    return found is not None and found[1].strip().upper() != "NONE"


def require_gui() -> None:
    """Raises unless this OpenCV has windows.

    Raises:
        MissingDependencyError: It has none; the message tells how to get one that has.
    """
    if has_gui():
        return
    wheels = opencv_wheels()
    name = " and ".join(wheels) or "this OpenCV"
    headless = " ".join(wheels) or "opencv-python-headless"
    raise MissingDependencyError(
        f"{name} has no windows; the wheel opencv-python has. Remedy: pip uninstall -y "
        f'{headless} && pip install "opencv-python>=4.8,<5" (it needs the system libraries libGL '
        "and libglib). Or write a video with --out and look at that"
    )
