"""Reading JPEG files with tf.data, with a Python generator and with ImageDataGenerator, compared."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import numpy as np
import pytest
from suite_fixtures import Measure

COUNT = 64
BATCH = 16
SIDE = 128
ROUNDS = 3
PAUSE = 0.02
"""Seconds that a step sleeps to simulate waiting for a disk or a network."""
STEPS = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write JPEG files in two folders, one per class; image k is bright where the others are not."""
    from PIL import Image

    root = tmp_path_factory.mktemp("jpegs")
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    for number in range(COUNT):
        wave = 120 + 60 * np.sin(rows / (9 + number)) + 60 * np.cos(columns / (7 + number))
        image = np.stack([wave, np.flipud(wave), np.full_like(wave, 4 * number)], axis=-1).astype(np.uint8)
        path = root / f"class-{number * 2 // COUNT}" / f"{number:03}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path, quality=92)
    return root


def names(folder: Path) -> List[str]:
    return sorted(str(path) for path in folder.rglob("*.jpg"))


def opened(path: Any) -> Any:
    from PIL import Image

    with Image.open(io.BytesIO(Path(path).read_bytes())) as image:
        return np.asarray(image, dtype=np.float32)


@pytest.fixture(scope="module")
def truth(folder: Path) -> Any:
    """Return every image as Pillow decodes it, in the order of the names."""
    return np.stack([opened(path) for path in names(folder)])


def tf_data(folder: Path) -> Any:
    import tensorflow as tf

    def load(path: Any) -> Any:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.cast(image, tf.float32)

    dataset = tf.data.Dataset.from_tensor_slices(names(folder))
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(BATCH).prefetch(tf.data.AUTOTUNE)


def python_generator(folder: Path) -> Any:
    import tensorflow as tf

    def images() -> Iterator[Any]:
        yield from map(opened, names(folder))

    signature = tf.TensorSpec((SIDE, SIDE, 3), tf.float32)
    dataset = tf.data.Dataset.from_generator(images, output_signature=signature)
    return dataset.batch(BATCH).prefetch(tf.data.AUTOTUNE)


def image_data_generator(folder: Path) -> Any:
    import tensorflow as tf

    generator = tf.keras.preprocessing.image.ImageDataGenerator()
    return generator.flow_from_directory(
        str(folder), target_size=(SIDE, SIDE), batch_size=BATCH, shuffle=False, class_mode=None
    )


def from_directory(folder: Path) -> Any:
    import tensorflow as tf

    dataset = tf.keras.utils.image_dataset_from_directory(
        str(folder), labels=None, image_size=(SIDE, SIDE), batch_size=BATCH, shuffle=False
    )
    return dataset.prefetch(tf.data.AUTOTUNE)


WAYS: Dict[str, Callable[[Path], Any]] = {
    "tf_data": tf_data,
    "image_dataset_from_directory": from_directory,
    "python_generator": python_generator,
    "image_data_generator": image_data_generator,
}


def one_epoch(source: Any) -> List[Any]:
    """Return the batches of a dataset, or of one pass of ImageDataGenerator, whose iterator never ends."""
    return [np.asarray(batch) for batch, _ in zip(source, range(COUNT // BATCH))]


def check(found: Any, truth: Any, measure: Measure) -> None:
    assert found.shape == truth.shape, f"{found.shape} came, {truth.shape} are on disk"
    apart = np.abs(found - truth)
    measure("largest_difference_of_a_pixel", float(apart.max()))
    measure("mean_difference_of_a_pixel", float(apart.mean()))
    nearest = [int(np.abs(truth - image).mean(axis=(1, 2, 3)).argmin()) for image in found]
    assert nearest == list(range(COUNT)), f"the images came in the order {nearest}"
    assert apart.mean() < 2, f"a pixel differs by {apart.mean()} in the mean from what Pillow decodes"


@pytest.mark.capability("pipelines.tf-data")
def test_tf_data(folder: Path, truth: Any, measure: Measure) -> None:
    check(np.concatenate(one_epoch(tf_data(folder))), truth, measure)


@pytest.mark.capability("pipelines.image-dataset-from-directory")
def test_from_directory(folder: Path, truth: Any, measure: Measure) -> None:
    check(np.concatenate(one_epoch(from_directory(folder))), truth, measure)


@pytest.mark.capability("pipelines.python-generator")
def test_python_generator(folder: Path, truth: Any, measure: Measure) -> None:
    check(np.concatenate(one_epoch(python_generator(folder))), truth, measure)


@pytest.mark.capability("pipelines.image-data-generator")
def test_image_data_generator(folder: Path, truth: Any, measure: Measure) -> None:
    check(np.concatenate(one_epoch(image_data_generator(folder))), truth, measure)


@pytest.mark.capability("pipelines.accurate-jpeg")
def test_accurate_jpeg(folder: Path, truth: Any) -> None:
    import tensorflow as tf

    for path, wanted in zip(names(folder)[:8], truth):
        data = tf.io.read_file(path)
        found = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE", fancy_upscaling=True)
        apart = np.abs(found.numpy().astype(np.float32) - wanted).max()
        assert apart == 0, f"a pixel of {Path(path).name} differs by {apart} from what Pillow decodes"


@pytest.mark.capability("pipelines.side-by-side")
def test_side_by_side(folder: Path, measure: Measure) -> None:
    sources = {name: make(folder) for name, make in WAYS.items()}
    best = dict.fromkeys(WAYS, 0.0)
    means: Dict[str, float] = {}
    for _ in range(ROUNDS):  # in turns, so that other work of the machine affects all of them
        for name, source in sources.items():
            began = time.perf_counter()
            found = one_epoch(source)
            best[name] = max(best[name], COUNT / (time.perf_counter() - began))
            means[name] = float(np.mean(found))
    for name, speed in best.items():
        measure(f"{name}_images_per_second", round(speed))
    assert max(means.values()) - min(means.values()) < 2, f"the images differ in brightness: {means}"


class Together:
    """The highest number of waits at the same time, which unlike times does not depend on a busy machine."""

    def __init__(self) -> None:
        self.most = 0
        self._now = 0
        self._mutex = threading.Lock()

    def wait(self) -> None:
        """Sleep as if for a disk or a network."""
        with self._mutex:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(PAUSE)
        with self._mutex:
            self._now -= 1

    def mapped(self, step: Any) -> Any:
        """Wait, and return the element."""
        import tensorflow as tf

        def wait(number: Any) -> Any:
            self.wait()
            return number

        return tf.numpy_function(wait, [step], tf.int64)


def take_all(dataset: Any, use: Callable[[], None] = lambda: None) -> float:
    """Return the seconds to take and use every element; the elements are 0, 1, 2, …"""
    iterator = iter(dataset)
    found = [int(next(iterator))]  # setting up the pipeline is not counted
    began = time.perf_counter()
    for element in iterator:
        found.append(int(element))
        use()
    seconds = time.perf_counter() - began
    assert found == list(range(STEPS)), f"the elements came as {found}"
    return seconds


@pytest.mark.capability("pipelines.parallel-map")
def test_parallel_map(measure: Measure) -> None:
    import tensorflow as tf

    steps, serial, parallel = tf.data.Dataset.range(STEPS), Together(), Together()
    one = take_all(steps.map(serial.mapped))
    four = take_all(steps.map(parallel.mapped, num_parallel_calls=4))
    measure("times_faster", round(one / four, 2))
    assert serial.most == 1, f"{serial.most} calls at once without num_parallel_calls"
    assert 2 <= parallel.most <= 4, f"{parallel.most} calls at once with num_parallel_calls=4"


def in_turns(dataset: Any) -> Any:
    """Return the dataset without the prefetch that tf.data would add."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


@pytest.mark.capability("pipelines.prefetch")
def test_prefetch(measure: Measure) -> None:
    import tensorflow as tf

    steps, apart, ahead = tf.data.Dataset.range(STEPS), Together(), Together()
    without = take_all(in_turns(steps.map(apart.mapped)), apart.wait)
    with_it = take_all(in_turns(steps.map(ahead.mapped).prefetch(2)), ahead.wait)
    measure("times_faster", round(without / with_it, 2))
    assert apart.most == 1, "an element was made while another was used, without prefetch"
    assert ahead.most == 2, "no element was made while another was used, with prefetch"


@pytest.mark.capability("pipelines.prefetch-by-itself")
def test_prefetch_by_itself() -> None:
    import tensorflow as tf

    together = Together()
    take_all(tf.data.Dataset.range(STEPS).map(together.mapped), together.wait)
    assert together.most == 2, "making and using elements take turns"


@pytest.mark.capability("pipelines.generator-is-serial")
def test_generator_is_serial() -> None:
    import tensorflow as tf

    making, mapping = Together(), Together()

    def steps() -> Iterator[int]:
        for number in range(STEPS):
            making.wait()
            yield number

    signature = tf.TensorSpec((), tf.int64)
    dataset = tf.data.Dataset.from_generator(steps, output_signature=signature)
    take_all(dataset.map(mapping.mapped, num_parallel_calls=4).prefetch(8))
    assert making.most == 1, f"{making.most} elements were made at once"


@pytest.mark.capability("pipelines.generators-interleaved")
def test_generators_interleaved(measure: Measure) -> None:
    import tensorflow as tf

    def interleaved(together: Together, calls: Optional[int]) -> Any:
        def steps(first: int) -> Iterator[int]:
            for number in range(first, STEPS, 4):
                together.wait()
                yield number

        def one(first: Any) -> Any:
            signature = tf.TensorSpec((), tf.int64)
            return tf.data.Dataset.from_generator(steps, args=(first,), output_signature=signature)

        firsts = tf.data.Dataset.range(4)
        return firsts.interleave(one, cycle_length=4, num_parallel_calls=calls, deterministic=True)

    serial, parallel = Together(), Together()
    slow, fast = take_all(interleaved(serial, None)), take_all(interleaved(parallel, 4))
    measure("times_faster", round(slow / fast, 2))
    assert serial.most == 1, f"{serial.most} generators at once without num_parallel_calls"
    assert parallel.most >= 2, f"{parallel.most} generators at once with num_parallel_calls=4"
