"""Images as a `tf.data` dataset: from a folder by one call, or by hand with `tf.image`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest
from pictures import COLOURS, batches_by_epoch, noise, photo, photo_folder, save, tiny_model
from suite_fixtures import Measure

SIZE = (12, 12)


def from_directory(folder: Path, **arguments: Any) -> Any:
    import tensorflow as tf

    arguments = {"image_size": SIZE, "batch_size": 4, **arguments}
    return tf.keras.utils.image_dataset_from_directory(folder, **arguments)


def joined(dataset: Any) -> List[np.ndarray[Any, Any]]:
    """Return all images, and all labels."""
    batches = [(images.numpy(), labels.numpy()) for images, labels in dataset]
    return [np.concatenate(part) for part in zip(*batches)]


def one_image(path: Any) -> Any:
    """Read the file with `tf.image`, at `SIZE`."""
    import tensorflow as tf

    image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
    return tf.cast(tf.image.resize(image, SIZE), tf.float32)


def loaded(paths: List[Path]) -> Any:
    """Return a pipeline of `tf.image` over the files."""
    import tensorflow as tf

    names = [str(path) for path in paths]
    return tf.data.Dataset.from_tensor_slices(names).map(one_image, num_parallel_calls=2)


def files_of(folder: Path) -> List[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


@pytest.mark.capability("datasets.labels")
def test_labels(tmp_path: Path) -> None:
    dataset = from_directory(photo_folder(tmp_path, each=5))
    assert dataset.class_names == ["blue", "red"], f"classes are {dataset.class_names}"
    sizes = [len(images) for images, _ in dataset]
    assert sizes == [4, 4, 2], f"10 images by 4 came as {sizes}"
    images, labels = joined(dataset)
    assert images.shape == (10, 12, 12, 3), f"10 images of 12 by 12 came as {images.shape}"
    redder = images[..., 0].mean(axis=(1, 2)) > images[..., 2].mean(axis=(1, 2))
    assert list(redder) == list(labels == 1), f"labels {labels} do not go with the colours {redder}"


@pytest.mark.capability("datasets.categorical-labels")
def test_categorical_labels(tmp_path: Path) -> None:
    dataset = from_directory(photo_folder(tmp_path), label_mode="categorical", shuffle=False)
    labels = joined(dataset)[1]
    assert labels.tolist() == [[1, 0]] * 3 + [[0, 1]] * 3, f"labels are {labels.tolist()}"


@pytest.mark.capability("datasets.no-labels")
def test_no_labels(tmp_path: Path) -> None:
    for index in range(6):
        save(photo((20, 40, 220), index), tmp_path / f"{index}.jpg")
    sizes = [tuple(images.shape) for images in from_directory(tmp_path, labels=None)]
    assert sizes == [(4, 12, 12, 3), (2, 12, 12, 3)], f"6 images by 4 came as {sizes}"


@pytest.mark.capability("datasets.split")
def test_split(tmp_path: Path) -> None:
    folder = photo_folder(tmp_path, each=5)
    parts: Dict[str, List[str]] = {
        subset: from_directory(folder, validation_split=0.2, subset=subset, seed=1).file_paths
        for subset in ("training", "validation")
    }
    counts = {subset: len(paths) for subset, paths in parts.items()}
    assert counts == {"training": 8, "validation": 2}, f"10 files were split into {counts}"
    shared = set(parts["training"]) & set(parts["validation"])
    assert not shared, f"{len(shared)} files are in both parts"


@pytest.mark.capability("datasets.gif")
def test_gif(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8), (220, 40, 20)).save(tmp_path / "red.gif")
    images = np.concatenate([images.numpy() for images in from_directory(tmp_path, labels=None)])
    assert images.shape == (1, 12, 12, 3), f"a GIF came as {images.shape}"
    assert np.abs(images - (220, 40, 20)).max() <= 4, f"its colour came as {images[0, 0, 0]}"


@pytest.mark.capability("datasets.webp")
def test_webp(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8), (220, 40, 20)).save(tmp_path / "red.webp")
    images = np.concatenate([images.numpy() for images in from_directory(tmp_path, labels=None)])
    assert images.shape == (1, 12, 12, 3), f"a WebP came as {images.shape}"


@pytest.mark.capability("datasets.keras-utils")
def test_keras_utils(tmp_path: Path) -> None:
    from keras.utils import image_dataset_from_directory

    dataset = image_dataset_from_directory(photo_folder(tmp_path), image_size=SIZE)
    images, labels = joined(dataset)
    assert (len(images), sorted(labels)) == (6, [0] * 3 + [1] * 3), f"labels of 6 images are {labels}"


@pytest.mark.capability("datasets.keras-preprocessing")
def test_keras_preprocessing(tmp_path: Path) -> None:
    from tensorflow.keras.preprocessing import image_dataset_from_directory

    dataset = image_dataset_from_directory(photo_folder(tmp_path), image_size=SIZE)
    images, labels = joined(dataset)
    assert (len(images), sorted(labels)) == (6, [0] * 3 + [1] * 3), f"labels of 6 images are {labels}"


@pytest.mark.capability("datasets.tf-image")
def test_tf_image(tmp_path: Path, measure: Measure) -> None:
    import tensorflow as tf

    folder = photo_folder(tmp_path, each=20)
    dataset = loaded(files_of(folder)).batch(4)
    began = time.perf_counter()
    images = np.concatenate([batch.numpy() for batch in dataset])
    measure("images_per_second", round(40 / (time.perf_counter() - began)))
    assert images.shape == (40, 12, 12, 3), f"40 images of 12 by 12 came as {images.shape}"
    means = images.reshape(2, -1, 3).mean(axis=1)
    assert np.abs(means - list(COLOURS.values())).max() < 20, f"mean colours are {means.round()}"
    stacked = tf.stack([one_image(str(path)) for path in files_of(folder)[:4]])
    assert np.array_equal(stacked.numpy(), images[:4]), "stacked by hand, the images are others"


@pytest.mark.capability("datasets.same-by-hand")
def test_same_by_hand(tmp_path: Path) -> None:
    folder = photo_folder(tmp_path, each=5)
    images = joined(from_directory(folder, shuffle=False))[0]
    built = np.concatenate([batch.numpy() for batch in loaded(files_of(folder)).batch(4)])
    off = float(np.abs(images - built).max())
    assert off < 0.01, f"the two pipelines are {off:g} apart"


def from_generator(folder: Path, **arguments: Any) -> np.ndarray[Any, Any]:
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    arguments = {"target_size": SIZE, "class_mode": None, "shuffle": False, **arguments}
    return np.asarray(next(ImageDataGenerator().flow_from_directory(folder, **arguments)))


@pytest.mark.capability("datasets.same-pixels-as-generator")
def test_same_pixels_as_generator(tmp_path: Path) -> None:
    folder = photo_folder(tmp_path)
    images = joined(from_directory(folder, shuffle=False, image_size=(24, 24)))[0]
    off = float(np.abs(images - from_generator(folder, target_size=(24, 24))).max())
    assert off <= 4, f"at the files' own size the two are up to {off:g} of 255 apart"


@pytest.mark.capability("datasets.same-resized-as-generator")
def test_same_resized_as_generator(tmp_path: Path) -> None:
    check_resized_alike(tmp_path)


@pytest.mark.capability("datasets.same-resized-by-nearest")
def test_same_resized_by_nearest(tmp_path: Path) -> None:
    check_resized_alike(tmp_path, interpolation="nearest")


def check_resized_alike(folder: Path, **arguments: Any) -> None:
    """Compare pictures with fine detail, made smaller by a factor that is not a whole number."""
    (folder / "noise").mkdir()
    for index, pixels in enumerate(noise(3, size=30).astype("uint8")):
        save(pixels, folder / "noise" / f"{index}.png")
    images = joined(from_directory(folder, shuffle=False, **arguments))[0]
    off = float(np.abs(images - from_generator(folder, **arguments)).max())
    assert off <= 1, f"resized, the two are up to {off:g} of 255 apart"


@pytest.mark.capability("datasets.empty-file")
def test_empty_file(tmp_path: Path) -> None:
    folder = photo_folder(tmp_path)
    (folder / "red" / "empty.jpg").touch()
    count = len(joined(from_directory(folder))[0])
    assert count == 6, f"of 6 pictures and an empty file it gives {count}"


@pytest.mark.capability("datasets.empty-file-ignored")
def test_empty_file_ignored(tmp_path: Path) -> None:
    import tensorflow as tf

    folder = photo_folder(tmp_path)
    (folder / "red" / "empty.jpg").touch()
    dataset = loaded(files_of(folder)).apply(tf.data.experimental.ignore_errors()).batch(4)
    count = sum(len(images) for images in dataset)
    assert count == 6, f"of 6 pictures and an empty file it gives {count}"


@pytest.mark.capability("datasets.model-fit")
def test_model_fit(tmp_path: Path) -> None:
    dataset = from_directory(photo_folder(tmp_path, each=5), image_size=(8, 8))
    counts, history = batches_by_epoch(tiny_model(), dataset.cache().prefetch(1), epochs=8)
    assert counts == [3] * 8, f"epochs of 10 files by 4 have {counts} batches"
    losses = history.history["loss"]
    assert losses[-1] < losses[0] / 2, (
        f"red and blue are not learnt: loss {losses[0]:.3f} to {losses[-1]:.3f}"
    )


@pytest.mark.capability("datasets.augmentation-layers")
def test_augmentation_layers() -> None:
    import tensorflow as tf

    layers = tf.keras.layers
    augment = tf.keras.Sequential(
        [
            layers.RandomFlip("horizontal", seed=1),
            layers.RandomRotation(0.1, seed=2),
            layers.RandomZoom(0.2, seed=3),
            layers.RandomContrast(0.2, seed=4),
        ]
    )
    images = noise(8)
    dataset = tf.data.Dataset.from_tensor_slices(images).batch(4)
    dataset = dataset.map(lambda batch: augment(batch, training=True))
    first, second = (np.concatenate([batch.numpy() for batch in dataset]) for _ in range(2))
    assert first.shape == images.shape, f"images {images.shape} came as {first.shape}"
    assert np.isfinite(first).all(), "an augmented image has values that are not finite"
    changed = sum(not np.allclose(before, after, atol=1) for before, after in zip(images, first))
    assert changed >= 6, f"only {changed} of 8 images were changed"
    assert not np.allclose(first, second), "the second epoch is augmented as the first"


@pytest.mark.capability("datasets.random-translation")
def test_random_translation() -> None:
    import tensorflow as tf

    images = np.zeros((12, 17, 17, 1), "float32")
    images[:, 8, 8] = 200
    aside = tf.keras.layers.RandomTranslation(0.0, 0.4, seed=1)(images, training=True).numpy()
    rows, columns = aside.sum(axis=(2, 3)), aside.sum(axis=(1, 3))
    assert (rows.argmax(axis=1) == 8).all(), f"shifted in width, the dot is in the rows {rows.argmax(axis=1)}"
    places = columns.argmax(axis=1)
    assert np.ptp(places) > 4, f"shifted by up to 6 in width, the dot is in the columns {places}"
