"""Where ImageDataGenerator is: each import as people write it, and a batch from what it gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import noise, save


def check_generator(kind: Any) -> None:
    """Check that the imported class gives scaled batches."""
    images = noise(4)
    batch, labels = next(kind(rescale=1 / 255).flow(images, np.arange(4), batch_size=4, shuffle=False))
    assert np.allclose(batch, images / 255, atol=1e-6), f"scaled by 1/255 it gave up to {batch.max()}"
    assert list(labels) == [0, 1, 2, 3], f"labels 0 to 3 came as {labels}"


@pytest.mark.capability("imports.tensorflow-keras")
def test_tensorflow_keras() -> None:
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    check_generator(ImageDataGenerator)


@pytest.mark.capability("imports.tf-keras-attribute")
def test_tf_keras_attribute() -> None:
    import tensorflow as tf

    check_generator(tf.keras.preprocessing.image.ImageDataGenerator)


@pytest.mark.capability("imports.keras")
def test_keras() -> None:
    from keras.preprocessing.image import ImageDataGenerator

    check_generator(ImageDataGenerator)


@pytest.mark.capability("imports.keras-load-img")
def test_keras_load_img(tmp_path: Path) -> None:
    from keras.preprocessing.image import img_to_array, load_img

    check_load_img(load_img, img_to_array, tmp_path)


@pytest.mark.capability("imports.tensorflow-keras-load-img")
def test_tensorflow_keras_load_img(tmp_path: Path) -> None:
    from tensorflow.keras.preprocessing.image import img_to_array, load_img

    check_load_img(load_img, img_to_array, tmp_path)


@pytest.mark.capability("imports.keras-utils-load-img")
def test_keras_utils_load_img(tmp_path: Path) -> None:
    from keras.utils import img_to_array, load_img

    check_load_img(load_img, img_to_array, tmp_path)


def check_load_img(load_img: Any, img_to_array: Any, folder: Path) -> None:
    pixels = noise(1)[0].astype("uint8")
    save(pixels, folder / "noise.png")
    loaded = img_to_array(load_img(folder / "noise.png"))
    assert np.array_equal(loaded, pixels), "the pixels of a PNG came back changed"


@pytest.mark.capability("imports.keras-src-legacy")
def test_keras_src_legacy() -> None:
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    check_generator(ImageDataGenerator)


@pytest.mark.capability("imports.keras-src")
def test_keras_src() -> None:
    from keras.src.preprocessing.image import ImageDataGenerator

    check_generator(ImageDataGenerator)


@pytest.mark.capability("imports.tensorflow-python-keras")
def test_tensorflow_python_keras() -> None:
    from tensorflow.python.keras.preprocessing.image import ImageDataGenerator

    check_generator(ImageDataGenerator)


@pytest.mark.capability("imports.tf-keras-package")
def test_tf_keras_package() -> None:
    from tf_keras.preprocessing.image import ImageDataGenerator

    check_generator(ImageDataGenerator)


@pytest.mark.capability("imports.keras-preprocessing-package")
def test_keras_preprocessing_package() -> None:
    from keras_preprocessing.image import ImageDataGenerator

    check_generator(ImageDataGenerator)


@pytest.mark.capability("imports.tensorflow-keras-legacy-asked")
def test_tensorflow_keras_legacy_asked() -> None:
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    check_generator(ImageDataGenerator)
    batches = ImageDataGenerator().flow(noise(4), batch_size=4)
    assert batches.next().shape == (4, 8, 8, 3), "next() of Keras 2 gives another batch"


@pytest.mark.capability("imports.keras-legacy-asked")
def test_keras_legacy_asked() -> None:
    from keras.preprocessing.image import ImageDataGenerator

    check_generator(ImageDataGenerator)
