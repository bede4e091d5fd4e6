"""ImageDataGenerator at work."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import batches_by_epoch, is_whole, noise, photo, photo_folder, save, tiny_model
from suite_fixtures import Measure


def augmented(images: np.ndarray[Any, Any], **arguments: Any) -> np.ndarray[Any, Any]:
    """Return the images as a generator with these arguments gives them; nearly all have to be changed."""
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    flow = ImageDataGenerator(**arguments).flow(images, batch_size=len(images), shuffle=False, seed=3)
    batch = np.asarray(next(flow))
    assert batch.shape == images.shape, f"images {images.shape} came as {batch.shape}"
    assert np.isfinite(batch).all(), "an augmented image has values that are not finite"
    changed = sum(not np.array_equal(before, after) for before, after in zip(images, batch))
    assert changed >= len(images) * 0.8, f"only {changed} of {len(images)} images were changed"
    return batch


def dots(row: int, column: int, count: int = 12, size: int = 33) -> np.ndarray[Any, Any]:
    """Return black images with a dot of 3 by 3 pixels at (row, column), relative to the centre."""
    images = np.zeros((count, size, size, 3), "float32")
    row, column = row + size // 2, column + size // 2
    images[:, row - 1 : row + 2, column - 1 : column + 2] = 200
    return images


def places(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return where the dot of each image is, relative to the centre: (row, column)."""
    mass = images.sum(axis=-1)
    steps = np.arange(images.shape[1]) - images.shape[1] // 2
    total = np.maximum(mass.sum(axis=(1, 2)), 1e-9)
    rows = (mass.sum(axis=2) * steps).sum(axis=1) / total
    return np.stack([rows, (mass.sum(axis=1) * steps).sum(axis=1) / total], axis=1)


@pytest.mark.capability("generator.flow")
def test_flow() -> None:
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    images = noise(10)
    flow = ImageDataGenerator(rescale=1 / 255).flow(images, np.arange(10), batch_size=4)
    batches = [flow[index] for index in range(len(flow))]
    assert [len(x) for x, _ in batches] == [4, 4, 2], f"10 images by 4 came as {[len(x) for x, _ in batches]}"
    order = np.concatenate([labels for _, labels in batches])
    assert sorted(order) == list(range(10)), f"one pass gave the images {order}"
    assert list(order) != list(range(10)), "the images are not shuffled"
    seen = np.concatenate([x for x, _ in batches])
    assert np.allclose(seen, images[order] / 255, atol=1e-6), "labels do not go with their images"


@pytest.mark.capability("generator.flow-from-directory")
def test_flow_from_directory(tmp_path: Path) -> None:
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    folder = photo_folder(tmp_path, each=4)
    flow = ImageDataGenerator().flow_from_directory(
        folder, target_size=(24, 24), batch_size=8, class_mode="sparse", shuffle=False
    )
    assert flow.class_indices == {"blue": 0, "red": 1}, f"classes are {flow.class_indices}"
    images, labels = next(flow)
    assert images.shape == (8, 24, 24, 3), f"8 images of 24 by 24 came as {images.shape}"
    assert list(labels) == [0] * 4 + [1] * 4, f"labels of the sorted files are {labels}"
    png = photo((20, 40, 220), 1)
    assert np.array_equal(images[1], png), "pixels of a PNG came changed"
    jpg = np.abs(images[0] - photo((20, 40, 220), 0)).max()
    assert jpg <= 12, f"pixels of a JPEG are off by up to {jpg}"


@pytest.mark.capability("generator.image-modes")
def test_image_modes(tmp_path: Path) -> None:
    from PIL import Image
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    (tmp_path / "red").mkdir()
    picture = Image.new("RGB", (8, 8), (220, 40, 20))
    for mode in ("L", "P", "RGBA", "RGB"):
        picture.convert(mode).save(tmp_path / "red" / f"{mode}.png")
    arguments = {"target_size": (8, 8), "class_mode": None, "shuffle": False}
    colour = next(ImageDataGenerator().flow_from_directory(tmp_path, **arguments))
    assert colour.shape == (4, 8, 8, 3), f"gray, palette and alpha as RGB came as {colour.shape}"
    assert np.ptp(colour[0], axis=-1).max() == 0, "a gray picture got colours"
    assert np.allclose(colour[2:], (220, 40, 20)), f"red with and without alpha is {colour[2:, 0, 0]}"
    gray = next(ImageDataGenerator().flow_from_directory(tmp_path, color_mode="grayscale", **arguments))
    assert gray.shape == (4, 8, 8, 1), f"as grayscale they came as {gray.shape}"


@pytest.mark.capability("generator.validation-split")
def test_validation_split(tmp_path: Path) -> None:
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    folder = photo_folder(tmp_path, each=5)
    datagen = ImageDataGenerator(validation_split=0.2)
    parts = {
        subset: set(datagen.flow_from_directory(folder, subset=subset).filenames)
        for subset in ("training", "validation")
    }
    counts = {subset: len(names) for subset, names in parts.items()}
    assert counts == {"training": 8, "validation": 2}, f"10 files were split into {counts}"
    assert not parts["training"] & parts["validation"], "a file is in both parts"


@pytest.mark.capability("generator.other-suffixes")
def test_other_suffixes(tmp_path: Path) -> None:
    from PIL import Image
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    (tmp_path / "red").mkdir()
    for suffix in ("png", "gif", "webp"):
        Image.new("RGB", (8, 8), (220, 40, 20)).save(tmp_path / "red" / f"picture.{suffix}")
    found = sorted(ImageDataGenerator().flow_from_directory(tmp_path).filenames)
    assert len(found) == 3, f"of a PNG, a GIF and a WebP it takes {', '.join(found)}"


def damaged_folder(folder: Path) -> Path:
    """Write three pictures per class, and one more that is empty and one that is truncated."""
    photo_folder(folder, suffixes=("jpg",))
    (folder / "blue" / "empty.jpg").touch()
    cut = folder / "red" / "cut.jpg"
    save(noise(1, size=96)[0].astype("uint8"), cut)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    return folder


def one_pass(folder: Path, **arguments: Any) -> int:
    """Return how many images a pass over the folder gives."""
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    flow = ImageDataGenerator().flow_from_directory(folder, target_size=(8, 8), batch_size=2, **arguments)
    return sum(len(flow[index][0]) for index in range(len(flow)))


@pytest.mark.capability("generator.empty-file")
def test_empty_file(tmp_path: Path) -> None:
    folder = damaged_folder(tmp_path)
    (folder / "red" / "cut.jpg").unlink()
    count = one_pass(folder)
    assert count == 6, f"of 6 pictures and an empty file it gives {count}"


@pytest.mark.capability("generator.cut-file")
def test_cut_file(tmp_path: Path) -> None:
    folder = damaged_folder(tmp_path)
    (folder / "blue" / "empty.jpg").unlink()
    count = one_pass(folder)
    assert count in (6, 7), f"of 6 pictures and one cut short it gives {count}"


@pytest.mark.capability("generator.cut-file-allowed")
def test_cut_file_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import ImageFile

    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    folder = damaged_folder(tmp_path)
    (folder / "blue" / "empty.jpg").unlink()
    count = one_pass(folder)
    assert count == 7, f"of 6 pictures and one cut short it gives {count}"


@pytest.mark.capability("generator.unreadable-named")
def test_unreadable_named(tmp_path: Path) -> None:
    from PIL import UnidentifiedImageError

    with pytest.raises(UnidentifiedImageError) as caught:
        one_pass(damaged_folder(tmp_path), shuffle=False)
    assert "empty.jpg" in str(caught.value), f"which file it is isn't said: {caught.value}"


@pytest.mark.capability("generator.damaged-sorted-out")
def test_damaged_sorted_out(tmp_path: Path) -> None:
    damaged = [path for path in sorted(damaged_folder(tmp_path).rglob("*.jpg")) if not is_whole(path)]
    names = [path.name for path in damaged]
    assert names == ["empty.jpg", "cut.jpg"], f"PIL cannot load {names}"
    for path in damaged:
        path.unlink()
    count = one_pass(tmp_path)
    assert count == 6, f"of the 6 pictures left it gives {count}"


@pytest.mark.capability("generator.rotation")
def test_rotation() -> None:
    found = places(augmented(dots(0, 10), rotation_range=90))
    distances, angles = np.hypot(*found.T), np.degrees(np.arctan2(*found.T))
    assert np.abs(distances - 10).max() < 0.6, f"a dot 10 pixels from the centre is now at {distances}"
    assert np.abs(angles).max() <= 91, f"turned by up to 90 degrees, it is at {angles}"
    assert np.ptp(angles) > 60, f"all turned by about the same: {angles}"


@pytest.mark.capability("generator.width-shift")
def test_width_shift() -> None:
    rows, columns = places(augmented(dots(0, 0), width_shift_range=[-5, 5])).T
    assert np.allclose(np.abs(columns), 5), f"shifted by 5 in width, the dot is in column {columns[0]:.0f}"
    assert np.allclose(rows, 0), f"shifted by 5 in width, the dot is in row {rows[0]:.0f}"


@pytest.mark.capability("generator.height-shift")
def test_height_shift() -> None:
    rows, columns = places(augmented(dots(0, 0), height_shift_range=[-5, 5])).T
    assert np.allclose(np.abs(rows), 5), f"shifted by 5 in height, the dot is in row {rows[0]:.0f}"
    assert np.allclose(columns, 0), f"shifted by 5 in height, the dot is in column {columns[0]:.0f}"


@pytest.mark.capability("generator.shift-both")
def test_shift_both() -> None:
    found = places(augmented(dots(0, 0), width_shift_range=0.2, height_shift_range=0.2))
    assert np.abs(found).max() < 0.2 * 33 + 0.5, f"shifted by up to 20 % of 33, the dot is at {found}"
    assert np.abs(found).max(axis=0).min() > 2, f"shifted by up to 20 % of 33, the dot is at {found}"


@pytest.mark.capability("generator.shear")
def test_shear() -> None:
    columns = places(augmented(dots(10, 0), shear_range=30))[:, 1]
    assert np.abs(columns).max() < 8, f"sheared by up to 30 degrees, a dot is up to {columns} aside"
    assert np.ptp(columns) > 2, f"sheared by up to 30 degrees, a dot is only {columns} aside"
    images = noise(12, size=33)
    middle = augmented(images, shear_range=30)[:, 16, 16]
    assert np.allclose(middle, images[:, 16, 16], atol=1e-3), "shearing moved the centre"


@pytest.mark.capability("generator.zoom")
def test_zoom() -> None:
    nearer = places(augmented(dots(0, 6), zoom_range=[0.5, 0.5]))
    assert np.allclose(nearer, (0, 12), atol=0.6), f"at double size a dot 6 from the centre is at {nearer[0]}"
    drawn = places(augmented(dots(0, 6), zoom_range=0.4))[:, 1]
    assert drawn.min() > 3.5, f"zoomed by 0.6 to 1.4, it is at {drawn}"
    assert np.ptp(drawn) > 1, f"all zoomed by about the same: {drawn}"


def check_flip(axis: int, **arguments: Any) -> None:
    images = np.concatenate([noise(1)] * 24)
    mirrored = np.flip(images[0], axis)
    batch = next(flow_of(images, **arguments))
    kept = sum(np.array_equal(image, images[0]) for image in batch)
    flipped = sum(np.array_equal(image, mirrored) for image in batch)
    assert kept + flipped == 24, f"{24 - kept - flipped} of 24 images are neither as they were nor mirrored"
    assert 4 < flipped < 20, f"{flipped} of 24 images were mirrored"


def flow_of(images: np.ndarray[Any, Any], **arguments: Any) -> Any:
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    datagen = ImageDataGenerator(**arguments)
    return datagen.flow(images, batch_size=len(images), shuffle=False, seed=3)


@pytest.mark.capability("generator.horizontal-flip")
def test_horizontal_flip() -> None:
    check_flip(1, horizontal_flip=True)


@pytest.mark.capability("generator.vertical-flip")
def test_vertical_flip() -> None:
    check_flip(0, vertical_flip=True)


@pytest.mark.capability("generator.brightness")
def test_brightness() -> None:
    images = noise(6)
    halved = augmented(images, brightness_range=[0.5, 0.5])
    assert np.abs(halved - images / 2).max() <= 1, "at half the brightness pixels are not half"
    means = augmented(images, brightness_range=[0.2, 0.9]).mean(axis=(1, 2, 3)) / images.mean(axis=(1, 2, 3))
    assert 0.19 < means.min() < means.max() < 0.91, f"at 0.2 to 0.9 of the brightness means are {means}"


@pytest.mark.capability("generator.brightness-of-unit-range")
def test_brightness_of_unit_range() -> None:
    images = noise(6) / 255
    halved = augmented(images, brightness_range=[0.5, 0.5])
    assert np.abs(halved - images / 2).max() < 0.02, (
        f"images of 0 to 1 at half the brightness have values of {halved.min():g} to {halved.max():g}"
    )


@pytest.mark.capability("generator.brightness-before-rescale")
def test_brightness_before_rescale() -> None:
    images = noise(6)
    halved = augmented(images, brightness_range=[0.5, 0.5], rescale=1 / 255)
    assert np.abs(halved - images / 510).max() < 0.01, f"half of 0 to 1 goes up to {halved.max():g}"


@pytest.mark.capability("generator.channel-shift")
def test_channel_shift() -> None:
    images = 60 + noise(6) / 2
    images[:, 0, 0], images[:, 0, 1] = 0, 255  # what is shifted is cut off at the limits that an image has
    change = augmented(images, channel_shift_range=50)[:, 1:] - images[:, 1:]
    assert np.ptp(change, axis=(1, 2, 3)).max() < 1e-3, "not every pixel of an image is shifted by the same"
    shifts = change.mean(axis=(1, 2, 3))
    assert 10 < np.abs(shifts).max() <= 50, f"shifted by up to 50, images are off by {shifts}"


@pytest.mark.capability("generator.featurewise")
def test_featurewise() -> None:
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    images = noise(20)
    datagen = ImageDataGenerator(featurewise_center=True, featurewise_std_normalization=True)
    datagen.fit(images)
    batch = next(datagen.flow(images, batch_size=20))
    mean, deviation = float(batch.mean()), float(batch.std())
    assert abs(mean) < 0.01, f"centred images have the mean {mean:g}"
    assert abs(deviation - 1) < 0.01, f"normalized images have the standard deviation {deviation:g}"


@pytest.mark.capability("generator.featurewise-without-fit")
def test_featurewise_without_fit() -> None:
    batch = next(flow_of(noise(20), featurewise_center=True))
    mean = float(batch.mean())
    assert abs(mean) < 1, f"without `fit`, centred images have the mean {mean:.0f}"


@pytest.mark.capability("generator.samplewise")
def test_samplewise() -> None:
    batch = augmented(noise(6), samplewise_center=True, samplewise_std_normalization=True)
    means, deviations = batch.mean(axis=(1, 2, 3)), batch.std(axis=(1, 2, 3))
    assert np.allclose(means, 0, atol=1e-3), f"centred images have the means {means}"
    assert np.allclose(deviations, 1, atol=1e-3), f"normalized ones the standard deviations {deviations}"


@pytest.mark.capability("generator.zca-whitening")
def test_zca_whitening() -> None:
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    images = noise(400, size=3) / 255
    images[:, 1] = images[:, 0] * 0.7 + images[:, 1] * 0.3
    datagen = ImageDataGenerator(zca_whitening=True)
    datagen.fit(images)
    batch = next(datagen.flow(images, batch_size=400))
    correlation = np.corrcoef(batch.reshape(400, -1).T) - np.eye(27)
    assert np.abs(correlation).max() < 0.05, f"pixels still correlate by {np.abs(correlation).max():.2f}"


@pytest.mark.capability("generator.preprocessing-function")
def test_preprocessing_function() -> None:
    images = noise(4)
    batch = augmented(images, preprocessing_function=lambda image: 255 - image, rescale=1 / 255)
    assert np.allclose(batch, (255 - images) / 255, atol=1e-6), "not the negatives, scaled"


@pytest.mark.capability("generator.all-together")
def test_all_together(measure: Measure) -> None:
    import time

    images = noise(32, size=64)
    began = time.perf_counter()
    batch = augmented(
        images,
        rotation_range=40,
        width_shift_range=0.2,
        height_shift_range=0.2,
        shear_range=0.2,
        zoom_range=0.2,
        horizontal_flip=True,
        brightness_range=[0.8, 1.2],
        channel_shift_range=20.0,
        fill_mode="nearest",
        rescale=1 / 255,
    )
    measure("images_per_second", round(32 / (time.perf_counter() - began)))
    assert 0 <= batch.min() < batch.max() <= 1, f"scaled to 0 to 1, it is {batch.min():g} to {batch.max():g}"


@pytest.mark.capability("generator.same-seed")
def test_same_seed() -> None:
    images = noise(6)
    arguments: Any = {"rotation_range": 40, "horizontal_flip": True, "zoom_range": 0.2}
    pictures = augmented(images, **arguments)
    masks = augmented(255 - images, **arguments)  # another picture, so that what moves it is compared
    apart = float(np.abs(pictures + masks - 255).max())
    assert apart < 0.01, f"the same seed gives other transformations: pixels are {apart:g} apart"


@pytest.mark.capability("generator.save-to-dir")
def test_save_to_dir(tmp_path: Path) -> None:
    from PIL import Image
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    datagen = ImageDataGenerator(rotation_range=20)
    next(datagen.flow(noise(3), batch_size=3, save_to_dir=tmp_path, save_prefix="new", save_format="png"))
    written = sorted(tmp_path.glob("new*.png"))
    assert len(written) == 3, f"of 3 images {len(written)} were written"
    with Image.open(written[0]) as image:
        assert image.size == (8, 8), f"what was written is {image.size}"


@pytest.mark.capability("generator.next-method")
def test_next_method() -> None:
    images, labels = flow_with_labels().next()
    assert len(images) == len(labels) == 4, f"a batch of 4 has {len(images)} images, {len(labels)} labels"


@pytest.mark.capability("generator.next-function")
def test_next_function() -> None:
    images, labels = next(flow_with_labels())
    assert len(images) == len(labels) == 4, f"a batch of 4 has {len(images)} images, {len(labels)} labels"


def flow_with_labels(count: int = 10, batch_size: int = 4, **arguments: Any) -> Any:
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    labels = np.arange(count) % 2
    return ImageDataGenerator().flow(noise(count), labels, batch_size=batch_size, **arguments)


@pytest.mark.capability("generator.for-loop")
def test_for_loop() -> None:
    sizes = [len(images) for images, _ in islice(flow_with_labels(), 30)]
    assert len(sizes) == 3, f"the loop over 10 images by 4 continues after {len(sizes)} batches"


@pytest.mark.capability("generator.index-loop")
def test_index_loop() -> None:
    flow = flow_with_labels()
    sizes = [len(flow[index][0]) for index in range(len(flow))]
    assert sizes == [4, 4, 2], f"10 images by 4 came as {sizes}"


@pytest.mark.capability("generator.model-fit")
def test_model_fit() -> None:
    counts, history = batches_by_epoch(
        tiny_model(), flow_with_labels(), epochs=3, validation_data=flow_with_labels(6)
    )
    assert counts == [3, 3, 3], f"epochs of 10 images by 4 have {counts} batches"
    losses = history.history["loss"] + history.history["val_loss"]
    assert len(losses) == 6, f"3 epochs have {len(losses)} losses, validation included"
    assert np.isfinite(losses).all(), f"losses are {losses}"


@pytest.mark.capability("generator.model-fit-directory")
def test_model_fit_directory(tmp_path: Path) -> None:
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    flow = ImageDataGenerator(horizontal_flip=True).flow_from_directory(
        photo_folder(tmp_path, each=5), target_size=(8, 8), batch_size=4, class_mode="categorical"
    )
    model = tiny_model(loss="categorical_crossentropy")
    counts, history = batches_by_epoch(model, flow, epochs=8)
    assert counts == [3] * 8, f"epochs of 10 files by 4 have {counts} batches"
    losses = history.history["loss"]
    assert losses[-1] < losses[0] / 2, (
        f"red and blue are not learnt: loss {losses[0]:.3f} to {losses[-1]:.3f}"
    )


@pytest.mark.capability("generator.model-fit-itself")
def test_model_fit_itself() -> None:
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    datagen = ImageDataGenerator(horizontal_flip=True)
    datagen.fit(noise(10))
    counts, _ = batches_by_epoch(tiny_model(), datagen, epochs=1)
    assert counts[0] > 0, "nothing was trained on"


@pytest.mark.capability("generator.predict-order")
def test_predict_order() -> None:
    model = tiny_model()
    model.layers[-1].set_weights([np.random.RandomState(5).normal(size=(192, 2)) / 8, np.zeros(2)])
    images = noise(10)
    wanted = model.predict(images, verbose=0)
    flow = flow_with_labels(shuffle=False)
    found = model.predict(flow, verbose=0)
    assert np.allclose(found, wanted, atol=1e-5), "predictions of the iterator are in another order"
    loss = model.evaluate(flow, verbose=0)
    direct = model.evaluate(images, np.arange(10) % 2, verbose=0)
    assert abs(loss - direct) < 1e-4, f"loss of the iterator is {loss:g}, of the array {direct:g}"


@pytest.mark.capability("generator.predict-shuffled")
def test_predict_shuffled(tmp_path: Path) -> None:
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    folder = photo_folder(tmp_path, each=12)
    flow = ImageDataGenerator().flow_from_directory(folder, target_size=(8, 8), class_mode="sparse")
    model = tiny_model()
    model.layers[-1].set_weights([np.tile([[-1.0, 1.0], [0, 0], [1.0, -1.0]], (64, 1)), np.zeros(2)])
    right = int((model.predict(flow, verbose=0).argmax(axis=1) == flow.classes).sum())
    assert right == 24, f"of 24 pictures the model knows all, `predict` agrees with `classes` on {right}"
