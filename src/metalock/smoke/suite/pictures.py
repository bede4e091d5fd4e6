"""Images to load, and a model that is small enough to train in a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Tuple

import numpy as np

COLOURS = {"blue": (20, 40, 220), "red": (220, 40, 20)}
"""The mean colour of the pictures of each class."""


def noise(count: int, size: int = 8, seed: int = 7) -> np.ndarray[Any, Any]:
    """Return random images of 0 to 255 as float32, without any symmetry."""
    drawn = np.random.RandomState(seed).randint(0, 256, (count, size, size, 3))
    return drawn.astype("float32")


def photo(colour: Tuple[int, int, int], seed: int, size: int = 24) -> np.ndarray[Any, Any]:
    """Return a smooth picture around a colour, such as JPEG keeps well."""
    across, down = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    waves = 12 * np.sin(3 * across + seed) + 8 * np.cos(2 * down - seed)
    return np.clip(np.asarray(colour) + waves[..., None], 0, 255).astype("uint8")


def photo_folder(folder: Path, suffixes: Tuple[str, ...] = ("jpg", "png"), each: int = 3) -> Path:
    """Write `folder/blue/0.jpg`, `folder/blue/1.png`… and as many red pictures."""
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for index in range(each):
            save(photo(colour, index), folder / name / f"{index}.{suffixes[index % len(suffixes)]}")
    return folder


def is_whole(path: Path) -> bool:
    """Return whether PIL can load all of a picture."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()
    except OSError:
        return False
    return True


def save(pixels: np.ndarray[Any, Any], path: Path) -> None:
    from PIL import Image

    Image.fromarray(pixels).save(path, **({"quality": 95} if path.suffix == ".jpg" else {}))


def tiny_model(
    units: int = 2,
    activation: str = "softmax",
    loss: str = "sparse_categorical_crossentropy",
    size: int = 8,
) -> Any:
    """Return a compiled model for images of this size, which learns the same each time."""
    import tensorflow as tf

    model = tf.keras.Sequential(
        [
            tf.keras.Input((size, size, 3)),
            tf.keras.layers.Rescaling(1 / 255),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(units, activation=activation, kernel_initializer="zeros"),
        ]
    )
    model.compile(optimizer="sgd", loss=loss)
    return model


def batches_by_epoch(model: Any, data: Any, limit: int = 100, **arguments: Any) -> Tuple[List[int], Any]:
    """Fit the model, and return how many batches each epoch trained on, and the history.

    An epoch of `limit` batches fails: with so few images, it would never end.
    """
    import pytest
    import tensorflow as tf

    counts: List[int] = []

    def epoch_begins(*_: object, **__: object) -> None:
        counts.append(0)

    def batch_ends(*_: object, **__: object) -> None:
        counts[-1] += 1
        if counts[-1] >= limit:
            pytest.fail(f"epoch {len(counts)} continues after {limit} batches")

    counter = tf.keras.callbacks.LambdaCallback(on_epoch_begin=epoch_begins, on_train_batch_end=batch_ends)
    return counts, model.fit(data, verbose=0, callbacks=[counter], **arguments)
