"""Training recipes that tutorials repeat, with the number of batches that each epoch really gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, List, Tuple

import numpy as np
import pytest
from pictures import batches_by_epoch, noise, photo, photo_folder, save, tiny_model

COUNT, BATCH = 10, 4
Batch = Tuple[Any, Any]


def labels_of(count: int) -> np.ndarray[Any, Any]:
    return np.arange(count) % 2


def flow() -> Any:
    """Return batches of 4, 4 and 2 images from ImageDataGenerator."""
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    return ImageDataGenerator().flow(noise(COUNT), labels_of(COUNT), batch_size=BATCH)


def dataset() -> Any:
    """Return batches of 4, 4 and 2 images from tf.data."""
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((noise(COUNT), labels_of(COUNT))).batch(BATCH)


def endless() -> Iterator[Batch]:
    while True:
        yield noise(BATCH), labels_of(BATCH)


def check_epochs(data: Any, wanted: List[int], **arguments: Any) -> None:
    """Check that each epoch trains on so many batches, and has a loss."""
    counts, history = batches_by_epoch(tiny_model(), data, epochs=len(wanted), **arguments)
    assert counts == wanted, f"the epochs got {counts} batches, not {wanted}"
    losses = history.history["loss"]
    assert len(losses) == len(wanted), f"{len(wanted)} epochs have {len(losses)} losses"
    assert np.isfinite(losses).all(), f"losses are {losses}"


@pytest.mark.capability("recipes.steps-rounded-down")
def test_steps_rounded_down() -> None:
    check_epochs(flow(), [2, 2, 2, 2], steps_per_epoch=COUNT // BATCH)


@pytest.mark.capability("recipes.steps-length")
def test_steps_length() -> None:
    data = flow()
    check_epochs(data, [3, 3, 3, 3], steps_per_epoch=len(data))


@pytest.mark.capability("recipes.steps-left-out")
def test_steps_left_out() -> None:
    check_epochs(flow(), [3, 3, 3, 3])


@pytest.mark.capability("recipes.steps-beyond")
def test_steps_beyond() -> None:
    check_epochs(flow(), [5, 5, 5], steps_per_epoch=5)


@pytest.mark.capability("recipes.validation-steps-rounded-down")
def test_validation_steps_rounded_down() -> None:
    arguments: Any = {"validation_data": flow(), "validation_steps": COUNT // BATCH}
    _, history = batches_by_epoch(tiny_model(), flow(), epochs=4, **arguments)
    losses = history.history["val_loss"]
    assert len(losses) == 4, f"4 epochs have {len(losses)} validation losses"
    assert min(losses) > 0, f"validation losses are {losses}"


@pytest.mark.capability("recipes.dataset-steps")
def test_dataset_steps() -> None:
    check_epochs(dataset(), [2, 2, 2, 2], steps_per_epoch=COUNT // BATCH)


@pytest.mark.capability("recipes.dataset-steps-repeat")
def test_dataset_steps_repeat() -> None:
    check_epochs(dataset().repeat(), [2, 2, 2, 2], steps_per_epoch=COUNT // BATCH)


@pytest.mark.capability("recipes.dataset")
def test_dataset() -> None:
    check_epochs(dataset(), [3, 3, 3])


@pytest.mark.capability("recipes.dataset-repeat-without-steps")
def test_dataset_repeat_without_steps() -> None:
    check_epochs(dataset().repeat(), [3, 3])


@pytest.mark.capability("recipes.endless-generator")
def test_endless_generator() -> None:
    check_epochs(endless(), [3, 3])


@pytest.mark.capability("recipes.endless-generator-steps")
def test_endless_generator_steps() -> None:
    check_epochs(endless(), [3, 3], steps_per_epoch=3)


@pytest.mark.capability("recipes.ending-generator")
def test_ending_generator() -> None:
    batches = ((noise(BATCH), labels_of(BATCH)) for _ in range(3))
    check_epochs(batches, [3, 3, 3])


@pytest.mark.capability("recipes.flat-folder")
def test_flat_folder(tmp_path: Path) -> None:
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    data = ImageDataGenerator().flow_from_directory(flat_folder(tmp_path), target_size=(8, 8))
    assert data.samples == 6, f"of 6 pictures it found {data.samples}"


@pytest.mark.capability("recipes.flat-folder-fit")
def test_flat_folder_fit(tmp_path: Path) -> None:
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    data = ImageDataGenerator().flow_from_directory(flat_folder(tmp_path), target_size=(8, 8))
    counts, _ = batches_by_epoch(tiny_model(loss="categorical_crossentropy"), data, epochs=1)
    assert counts == [1], f"of 6 pictures the epochs got {counts} batches"


@pytest.mark.capability("recipes.flat-folder-as-class")
def test_flat_folder_as_class(tmp_path: Path) -> None:
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    folder = flat_folder(tmp_path)
    data = ImageDataGenerator().flow_from_directory(
        folder.parent, classes=[folder.name], class_mode=None, target_size=(8, 8)
    )
    images = next(data)
    assert images.shape == (6, 8, 8, 3), f"6 pictures came as {images.shape}"


def flat_folder(folder: Path) -> Path:
    flat = folder / "pictures"
    flat.mkdir()
    for index in range(6):
        save(photo((20, 40, 220), index), flat / f"{index}.jpg")
    return flat


def seen_by_model(folder: Path, **arguments: Any) -> np.ndarray[Any, Any]:
    """Return the output of a model's Rescaling layer."""
    import tensorflow as tf
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    data = ImageDataGenerator(**arguments).flow_from_directory(
        photo_folder(folder), target_size=(8, 8), class_mode=None
    )
    layer = tf.keras.layers.Rescaling(1 / 255)
    return np.asarray(layer(next(data)))


@pytest.mark.capability("recipes.rescaled-once")
def test_rescaled_once(tmp_path: Path) -> None:
    seen = seen_by_model(tmp_path)
    assert 0.7 < seen.max() <= 1, f"the brightest value that the model sees is {seen.max():.4f}"


@pytest.mark.capability("recipes.rescaled-twice")
def test_rescaled_twice(tmp_path: Path) -> None:
    seen = seen_by_model(tmp_path, rescale=1 / 255)
    assert 0.7 < seen.max() <= 1, f"the brightest value that the model sees is {seen.max():.4f}"


def check_learnt(folder: Path, class_mode: str, units: int, activation: str, loss: str) -> None:
    """Check that all six of the red and blue pictures are classified right after fitting."""
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    data = ImageDataGenerator().flow_from_directory(
        photo_folder(folder), target_size=(8, 8), class_mode=class_mode, shuffle=False
    )
    model = tiny_model(units, activation, loss)
    model.fit(data, epochs=12, verbose=0)
    predicted = model.predict(data, verbose=0)
    classes = predicted.argmax(axis=1) if units > 1 else predicted.ravel() > 0.5
    right = int((classes == data.classes).sum())
    assert right == 6, f"of 6 pictures learnt, {right} are classified right"


@pytest.mark.capability("recipes.binary-sigmoid")
def test_binary_sigmoid(tmp_path: Path) -> None:
    check_learnt(tmp_path, "binary", 1, "sigmoid", "binary_crossentropy")


@pytest.mark.capability("recipes.categorical-softmax")
def test_categorical_softmax(tmp_path: Path) -> None:
    check_learnt(tmp_path, "categorical", 2, "softmax", "categorical_crossentropy")


@pytest.mark.capability("recipes.sparse-softmax")
def test_sparse_softmax(tmp_path: Path) -> None:
    check_learnt(tmp_path, "sparse", 2, "softmax", "sparse_categorical_crossentropy")


@pytest.mark.capability("recipes.binary-softmax-of-one")
def test_binary_softmax_of_one(tmp_path: Path) -> None:
    check_learnt(tmp_path, "binary", 1, "softmax", "binary_crossentropy")


@pytest.mark.capability("recipes.binary-with-categorical-loss")
def test_binary_with_categorical_loss(tmp_path: Path) -> None:
    check_learnt(tmp_path, "binary", 2, "softmax", "categorical_crossentropy")


@pytest.mark.capability("recipes.categorical-with-sparse-loss")
def test_categorical_with_sparse_loss(tmp_path: Path) -> None:
    check_learnt(tmp_path, "categorical", 2, "softmax", "sparse_categorical_crossentropy")


@pytest.mark.capability("recipes.categorical-with-one-output")
def test_categorical_with_one_output(tmp_path: Path) -> None:
    check_learnt(tmp_path, "categorical", 1, "sigmoid", "binary_crossentropy")
