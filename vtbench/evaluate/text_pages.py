"""Pages of text whose words are known, and how many of them survive a tokenizer.

Words are drawn with Pillow's built-in font (Aileron, a proportional sans-serif), black on white, at a given height in
pixels, as many lines as fit. A page depends on its number, size and font size alone. TokBench (arXiv:2505.18142) finds
that the size of text decides whether it survives; hence one error rate a font size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from vtbench.data.dataset import Size
from vtbench.errors import ResolutionError
from vtbench.evaluate.metrics.text_preservation import Read, text_errors
from vtbench.evaluate.protocol import to_uint8
from vtbench.seeding import rng

FONT_PIXELS = (8, 12, 16, 24, 32)
_LINE_HEIGHT = 1.6
_MARGIN = 0.03
_WORDS = [
    "about",
    "after",
    "again",
    "bring",
    "brown",
    "carry",
    "clean",
    "early",
    "eight",
    "every",
    "found",
    "fresh",
    "green",
    "happy",
    "heavy",
    "house",
    "large",
    "laugh",
    "light",
    "never",
    "night",
    "often",
    "paper",
    "plant",
    "point",
    "quick",
    "quiet",
    "right",
    "river",
    "round",
    "seven",
    "sharp",
    "short",
    "sleep",
    "small",
    "stand",
    "start",
    "stone",
    "table",
    "thank",
    "think",
    "three",
    "today",
    "under",
    "water",
    "white",
    "world",
    "write",
    "young",
    "apple",
    "bread",
    "chair",
    "cloud",
    "field",
    "glass",
    "grass",
    "horse",
    "lemon",
    "mouth",
    "music",
    "ocean",
    "piano",
    "queen",
    "sugar",
    "tiger",
    "uncle",
    "voice",
    "wheel",
    "zebra",
    "1024",
    "256",
    "37",
    "48",
    "5.9",
    "610",
    "7.25",
    "83",
    "90",
]


@dataclass(frozen=True)
class TextErrors:
    """Error rates of the pages of one font size, at least 0: of characters and of words."""

    font_pixels: int
    character_error: float
    word_error: float


def text_page(number: int, size: Size, font_pixels: int) -> tuple[UInt8[Tensor, "3 height width"], str]:
    """Return one page and its text, lines joined by newlines.

    Args:
        number: which page.
        size: height and width in pixels.
        font_pixels: nominal height of the font.

    Raises:
        ResolutionError: there is no line, or a line that its first word does not fit into.
    """
    height, width = size
    draw_words = rng(0, "text_page", number, height, width, font_pixels)
    font = ImageFont.load_default(font_pixels)
    margin = max(2, round(_MARGIN * min(size)))
    page = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(page)
    lines = []
    step = round(_LINE_HEIGHT * font_pixels)
    for top in range(margin, height - margin - step + 1, step):
        line = _line(draw_words, lambda text: font.getlength(text) <= width - 2 * margin)
        draw.text((margin, top), line, fill="black", font=font)
        lines.append(line)
    if not lines or not all(lines):
        raise ResolutionError(f"Text of {font_pixels} pixels does not fit into a page of {height}x{width}.")
    return torch.from_numpy(np.array(page)).permute(2, 0, 1).contiguous(), "\n".join(lines)


def text_preservation(
    reconstruct: Callable[[Float[Tensor, "batch 3 height width"]], Float[Tensor, "batch 3 height width"]],
    read: Read,
    size: Size,
    num_pages: int,
    font_pixels: Sequence[int] = FONT_PIXELS,
) -> list[TextErrors]:
    """Return how much of known text is read wrongly after reconstruction, for each font size.

    Args:
        reconstruct: images in [0, 1] -> reconstructions of that shape; the identity shows the engine's own errors.
        read: the OCR engine (`vtbench.evaluate.metrics.text_preservation.engine`).
        size: height and width of a page in pixels.
        num_pages: pages a font size.
        font_pixels: heights of the font.

    Raises:
        ResolutionError: a page is too small for a font size.
    """
    found = []
    for pixels in font_pixels:
        errors = np.zeros(4, dtype=np.int64)
        for number in range(num_pages):
            page, text = text_page(number, size, pixels)
            with torch.no_grad():
                produced = to_uint8(reconstruct(page[None].float() / 255).float())
            errors += text_errors(text, read(produced[0].permute(1, 2, 0).cpu().numpy()))
        found.append(TextErrors(pixels, float(errors[0] / errors[1]), float(errors[2] / errors[3])))
    return found


def _line(draw_words: np.random.Generator, fits: Callable[[str], bool]) -> str:
    """Return as many random words as fit; none if the first does not."""
    line = ""
    while True:
        longer = f"{line} {draw_words.choice(_WORDS)}".strip()
        if not fits(longer):
            return line
        line = longer
