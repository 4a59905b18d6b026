"""Images of 16 bits a pixel, as microscopes and depth cameras write them."""

import numpy as np


def eight_bits(image):
    """A Pillow image of 8 bits a channel: the upper 8 of 16, as TensorFlow reads them.

    `Image.convert` alone cuts every value off at 255, which leaves a white picture.
    """
    if not image.mode.startswith("I"):
        return image
    from PIL import Image

    upper = np.clip(np.asarray(image).astype("int64") // 256, 0, 255)
    return Image.fromarray(upper.astype("uint8"))
