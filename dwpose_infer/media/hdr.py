"""HDR video, as newer phones record it, turned into ordinary colours.

Decoded as they are, its frames look grey: their values stand for light of up to 10,000 cd/m2 and
for wider primaries. The networks have learnt from ordinary pictures, and so have most viewers.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from ..arrays import Float64Array

Transfer: TypeAlias = Literal["PQ", "HLG"]

TRANSFERS: Final[dict[int, Transfer]] = {16: "PQ", 18: "HLG"}
"""Code of the transfer characteristics in the stream (ITU-T H.273, table 3) -> its name."""

REFERENCE_WHITE: Final = 203.0
"""cd/m2 of diffuse white in HDR, which becomes the white of SDR (ITU-R BT.2408, 3.1)."""

HLG_PEAK: Final = 1000.0
"""cd/m2 of the display that HLG is mapped to, where its system gamma is 1.2 (BT.2100, table 5)."""

KNEE: Final = 0.75
"""Light, as a share of diffuse white, above which highlights are compressed; below it colours are
exact."""

LUT_SIDE: Final = 33
"""Points of the table along each axis; between them FFmpeg interpolates in tetrahedra."""

BT2020_TO_BT709: Final = np.array(
    [
        [1.6605, -0.5876, -0.0728],
        [-0.1246, 1.1329, -0.0083],
        [-0.0182, -0.1006, 1.1187],
    ]
)
"""Linear RGB of BT.2020 to linear RGB of BT.709 (ITU-R BT.2407, 2.2)."""

BT2020_LUMINANCE: Final = np.array([0.2627, 0.6780, 0.0593])
SDR_GAMMA: Final = 2.4
"""Of the reference display of SDR (ITU-R BT.1886)."""


class ToneMapper:
    """Frames of one HDR stream in, SDR frames out; FFmpeg does the work in threads of its own."""

    def __init__(self, av: Any, transfer: Transfer) -> None:
        """Works out the table of colours.

        Args:
            av: The package PyAV.
            transfer: The stream's transfer characteristics.
        """
        self._av = av
        self._table = sdr_table(transfer)
        self._graph: Any = None
        self._shape: tuple[int, int, str] | None = None

    def __call__(self, frame: Any) -> Any:
        """Returns a PyAV frame in bgr24 and ordinary colours, not turned."""
        shape = (frame.width, frame.height, frame.format.name)
        if shape != self._shape:
            self._graph, self._shape = self._new_graph(frame), shape
        self._graph.push(frame)
        return self._graph.pull()

    def _new_graph(self, frame: Any) -> Any:
        graph = self._av.filter.Graph()
        source = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base or 1,
        )
        with tempfile.TemporaryDirectory(prefix="dwpose-hdr-") as folder:
            path = Path(folder) / "sdr.cube"
            path.write_text(cube_text(self._table))
            # 16 bits on the way: the values of PQ lie close together in the dark.
            matrix = "in_color_matrix=bt2020:out_range=full"
            steps = [
                graph.add("scale", matrix),
                graph.add("format", "gbrp16le"),
                graph.add("lut3d", f"file={_escaped(path)}:interp=tetrahedral"),
                graph.add("format", "bgr24"),
                graph.add("buffersink"),
            ]
            for before, after in zip([source, *steps], steps, strict=False):
                before.link_to(after)
            graph.configure()  # reads the table
        return graph


def sdr_table(transfer: Transfer) -> Float64Array:
    """Returns the SDR colour of every HDR colour on a grid.

    Args:
        transfer: "PQ" (SMPTE ST 2084) or "HLG" (ARIB STD-B67).

    Returns:
        (33, 33, 33, 3) float64 from 0 to 1: R'G'B' of BT.709, gamma 2.4, at R'G'B' of BT.2020;
        axes red, green, blue.
    """
    steps = np.linspace(0, 1, LUT_SIDE)
    signal = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1)
    light = pq_light(signal) if transfer == "PQ" else hlg_light(signal)
    relative = (light / REFERENCE_WHITE) @ BT2020_TO_BT709.T
    relative = relative.clip(0, None)
    brightest = relative.max(axis=-1, keepdims=True)
    # One factor for the three keeps the hue.
    factor = compressed(brightest) / np.maximum(brightest, 1e-12)
    table: Float64Array = (relative * factor).clip(0, 1) ** (1 / SDR_GAMMA)
    return table


def pq_light(signal: Float64Array) -> Float64Array:
    """Returns the light in cd/m2 of PQ signals from 0 to 1 (ITU-R BT.2100, table 4)."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = np.asarray(signal, np.float64) ** (1 / m2)
    light: Float64Array = 10_000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    return light


def hlg_light(signal: Float64Array) -> Float64Array:
    """Returns the light in cd/m2 of (..., 3) HLG signals from 0 to 1 (BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    signal = np.asarray(signal, np.float64)
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    luminance = scene @ BT2020_LUMINANCE
    light: Float64Array = HLG_PEAK * scene * np.maximum(luminance, 1e-12)[..., None] ** 0.2
    return light


def compressed(light: Float64Array) -> Float64Array:
    """Leaves light up to `KNEE` as it is and brings all above it below 1, without a bend."""
    room = 1 - KNEE
    above = KNEE + room * (1 - np.exp(-(light - KNEE) / room))
    return np.where(light <= KNEE, light, above)


def cube_text(table: Float64Array) -> str:
    """Returns a table of colours in the .cube format, in which red runs fastest."""
    rows = table.transpose(2, 1, 0, 3).reshape(-1, 3)
    lines = [f"{red:.6f} {green:.6f} {blue:.6f}" for red, green, blue in rows]
    return "\n".join([f"LUT_3D_SIZE {len(table)}", *lines]) + "\n"


def _escaped(path: Path) -> str:
    """A path in the words of FFmpeg's filter options, where colons and backslashes are signs."""
    text = os.fspath(path).replace("\\", "/")
    return text.replace("'", "\\'").replace(":", "\\:")
