"""What is used around training: TensorFlow Lite, TensorBoard, image formats, downloads, compilation, HDF5."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest
from suite_fixtures import Measure

RED = (255, 0, 0)


def small_model() -> Any:
    """Return a model with two layers of fixed weights, for four numbers."""
    import tensorflow as tf

    layers = [
        tf.keras.Input((4,)),
        tf.keras.layers.Dense(3, activation="relu", kernel_initializer=tf.keras.initializers.Constant(0.5)),
        tf.keras.layers.Dense(2, kernel_initializer="ones"),
    ]
    return tf.keras.Sequential(layers)


def numbers() -> Any:
    import numpy as np

    return np.array([[1.0, 2.0, 3.0, 4.0]], dtype="float32")


def near(found: Any, wanted: Any, within: float = 1e-5) -> None:
    import numpy as np

    pair = [np.asarray(values, dtype="float64") for values in (found, wanted)]
    difference = float(np.abs(pair[0] - pair[1]).max())
    assert difference <= within, f"the values differ by {difference}"


def red(path: Path, kind: str) -> Path:
    """Return a red image of 6 by 4 pixels."""
    from PIL import Image

    options = {"lossless": True} if kind == "WEBP" else {}
    Image.new("RGB", (6, 4), RED).save(path, kind, **options)
    return path


# TensorFlow Lite


def interpreted(flat: bytes) -> Any:
    """Return what the converted model computes from the numbers."""
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(model_content=flat)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], numbers())
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def predicting(model: Any) -> Any:
    """Return the model as a function of one row of numbers."""
    import tensorflow as tf

    def predict(rows: Any) -> Any:
        return model(rows)

    return tf.function(predict).get_concrete_function(tf.TensorSpec((1, 4), tf.float32))


@pytest.mark.capability("tools.tflite-export")
def test_tflite_export(tmp_path: Path) -> None:
    import tensorflow as tf

    model = small_model()
    model.export(str(tmp_path / "model"))
    flat = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "model")).convert()
    near(interpreted(flat), model(numbers()))


@pytest.mark.capability("tools.tflite-function")
def test_tflite_function() -> None:
    import tensorflow as tf

    model = small_model()
    function = predicting(model)
    flat = tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
    near(interpreted(flat), model(numbers()))


@pytest.mark.capability("tools.tflite-quantized")
def test_tflite_quantized() -> None:
    import tensorflow as tf

    start = tf.keras.initializers.Constant(0.25)
    layers = [tf.keras.layers.Dense(64, kernel_initializer=start) for _ in range(2)]
    model = tf.keras.Sequential([tf.keras.Input((4,)), *layers])
    function = predicting(model)
    flats = []
    for optimizations in ([], [tf.lite.Optimize.DEFAULT]):
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
        converter.optimizations = optimizations
        flats.append(converter.convert())
    full, quantized = flats
    assert len(quantized) < 0.6 * len(full), f"{len(full)} bytes, {len(quantized)} quantized"
    near(interpreted(quantized), model(numbers()), within=0.5)


@pytest.mark.capability("tools.tflite-saved-model")
def test_tflite_saved_model(tmp_path: Path) -> None:
    import tensorflow as tf

    model = small_model()
    tf.saved_model.save(model, str(tmp_path / "model"))
    flat = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "model")).convert()
    near(interpreted(flat), model(numbers()))


@pytest.mark.capability("tools.tflite-keras")
def test_tflite_keras() -> None:
    import tensorflow as tf

    model = small_model()
    flat = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    near(interpreted(flat), model(numbers()))


# TensorBoard


def scalars(folder: Path) -> List[str]:
    """Return the tags of every event file below a folder."""
    import tensorflow as tf

    tags = set()
    for path in folder.rglob("events.out.tfevents.*"):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            tags |= {value.tag for value in event.summary.value}
    return sorted(tags)


@pytest.mark.capability("tools.tensorboard-callback")
def test_tensorboard_callback(tmp_path: Path) -> None:
    import tensorflow as tf

    model = small_model()
    model.compile("sgd", "mse")
    callback = tf.keras.callbacks.TensorBoard(str(tmp_path))
    model.fit(numbers(), numbers()[:, :2], epochs=2, callbacks=[callback], verbose=0)
    tags = scalars(tmp_path)
    assert "epoch_loss" in tags, f"the event files have {tags}"


@pytest.mark.capability("tools.summary-scalar")
def test_summary_scalar(tmp_path: Path) -> None:
    import tensorflow as tf

    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        tf.summary.scalar("level", 0.5, step=1)
    tags = scalars(tmp_path)
    assert tags == ["level"], f"the event files have {tags}"


@pytest.mark.capability("tools.summary-raw")
def test_summary_raw(tmp_path: Path) -> None:
    import tensorflow as tf

    summary = tf.compat.v1.Summary(value=[tf.compat.v1.Summary.Value(tag="level", simple_value=0.5)])
    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        tf.summary.experimental.write_raw_pb(summary.SerializeToString(), step=1)
    tags = scalars(tmp_path)
    assert tags == ["level"], f"the event files have {tags}"


@pytest.mark.capability("tools.csv-logger")
def test_csv_logger(tmp_path: Path) -> None:
    import tensorflow as tf

    model = small_model()
    model.compile("sgd", "mse")
    callback = tf.keras.callbacks.CSVLogger(str(tmp_path / "losses.csv"))
    losses = model.fit(numbers(), numbers()[:, :2], epochs=2, callbacks=[callback], verbose=0).history["loss"]
    lines = (tmp_path / "losses.csv").read_text(encoding="utf-8").splitlines()
    written = [float(line.split(",")[1]) for line in lines[1:]]
    near(written, losses)


@pytest.mark.capability("tools.tensorboard-server")
def test_tensorboard_server(tmp_path: Path) -> None:
    import tensorflow as tf
    from tensorboard import default
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        tf.summary.scalar("level", 0.5, step=1)
    tags = EventAccumulator(str(tmp_path)).Reload().Tags()["tensors"]
    assert tags == ["level"], f"TensorBoard reads {tags}"
    assert len(default.get_plugins()) > 5, f"TensorBoard has {len(default.get_plugins())} plugins"


# Images


def check_decoded(path: Path, measure: Measure) -> None:
    import tensorflow as tf

    image = tf.io.decode_image(tf.io.read_file(str(path)), channels=3, expand_animations=False)
    measure("shape", str(tuple(image.shape)))
    assert tuple(image.shape) == (4, 6, 3), f"an image of shape {image.shape}"
    near(image.numpy().reshape(-1, 3).mean(axis=0), RED, within=2)


@pytest.mark.capability("tools.image-png")
def test_image_png(tmp_path: Path, measure: Measure) -> None:
    check_decoded(red(tmp_path / "red.png", "PNG"), measure)


@pytest.mark.capability("tools.image-jpeg")
def test_image_jpeg(tmp_path: Path, measure: Measure) -> None:
    check_decoded(red(tmp_path / "red.jpg", "JPEG"), measure)


@pytest.mark.capability("tools.image-gif")
def test_image_gif(tmp_path: Path, measure: Measure) -> None:
    check_decoded(red(tmp_path / "red.gif", "GIF"), measure)


@pytest.mark.capability("tools.image-bmp")
def test_image_bmp(tmp_path: Path, measure: Measure) -> None:
    check_decoded(red(tmp_path / "red.bmp", "BMP"), measure)


@pytest.mark.capability("tools.image-webp")
def test_image_webp(tmp_path: Path, measure: Measure) -> None:
    check_decoded(red(tmp_path / "red.webp", "WEBP"), measure)


@pytest.mark.capability("tools.image-tiff")
def test_image_tiff(tmp_path: Path, measure: Measure) -> None:
    check_decoded(red(tmp_path / "red.tiff", "TIFF"), measure)


def check_loaded(path: Path) -> None:
    import tensorflow as tf

    image = tf.keras.utils.img_to_array(tf.keras.utils.load_img(path, target_size=(2, 3)))
    assert image.shape == (2, 3, 3), f"an image of shape {image.shape}"
    near(image.reshape(-1, 3).mean(axis=0), RED, within=2)


@pytest.mark.capability("tools.load-img-webp")
def test_load_img_webp(tmp_path: Path) -> None:
    check_loaded(red(tmp_path / "red.webp", "WEBP"))


@pytest.mark.capability("tools.load-img-tiff")
def test_load_img_tiff(tmp_path: Path) -> None:
    check_loaded(red(tmp_path / "red.tiff", "TIFF"))


@pytest.mark.capability("tools.webp-tensorflow-io")
def test_webp_tensorflow_io(tmp_path: Path) -> None:
    import tensorflow as tf
    import tensorflow_io as tfio

    path = red(tmp_path / "red.webp", "WEBP")
    image = tfio.image.decode_webp(tf.io.read_file(str(path))).numpy()
    assert image.shape == (4, 6, 4), f"an image of shape {image.shape}"
    near(image.reshape(-1, 4).mean(axis=0), (*RED, 255), within=2)


def check_folder(folder: Path, suffix: str, kind: str) -> None:
    import tensorflow as tf

    for label in ("one", "two"):
        (folder / label).mkdir()
        red(folder / label / f"red.{suffix}", kind)
    images = tf.keras.utils.image_dataset_from_directory(str(folder), image_size=(2, 3), batch_size=2)
    shapes = [tuple(batch.shape) for batch, _ in images]
    assert shapes == [(2, 2, 3, 3)], f"batches of shape {shapes}"


@pytest.mark.capability("tools.folder-png")
def test_folder_png(tmp_path: Path) -> None:
    check_folder(tmp_path, "png", "PNG")


@pytest.mark.capability("tools.folder-gif")
def test_folder_gif(tmp_path: Path) -> None:
    check_folder(tmp_path, "gif", "GIF")


@pytest.mark.capability("tools.folder-webp")
def test_folder_webp(tmp_path: Path) -> None:
    check_folder(tmp_path, "webp", "WEBP")


@pytest.mark.capability("tools.folder-webp-as-png")
def test_folder_webp_as_png(tmp_path: Path) -> None:
    check_folder(tmp_path, "png", "WEBP")


@pytest.mark.capability("tools.folder-webp-pil")
def test_folder_webp_pil(tmp_path: Path) -> None:
    import numpy as np
    import tensorflow as tf
    from PIL import Image

    def decoded(path: Any) -> Any:
        with Image.open(path.numpy().decode()) as image:
            return np.asarray(image.convert("RGB"))

    red(tmp_path / "red.webp", "WEBP")
    paths = tf.data.Dataset.list_files(str(tmp_path / "*.webp"))
    images = paths.map(lambda path: tf.ensure_shape(tf.py_function(decoded, [path], tf.uint8), (4, 6, 3)))
    (image,) = images
    near(image.numpy().reshape(-1, 3).mean(axis=0), RED, within=2)


# Looking at models


@pytest.mark.capability("tools.summary")
def test_summary() -> None:
    lines: List[str] = []
    small_model().summary(print_fn=lines.append)
    assert "23" in "\n".join(lines), f"4*3 + 3 + 3*2 + 2 parameters are not in {lines}"


@pytest.mark.capability("tools.plot-model")
def test_plot_model(tmp_path: Path) -> None:
    import tensorflow as tf

    tf.keras.utils.plot_model(small_model(), to_file=str(tmp_path / "model.png"))
    assert (tmp_path / "model.png").stat().st_size > 0, "an empty image"


# Downloads


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    """Return an existing folder; without one, `get_file` uses a folder that all users share."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    return folder


def archive(folder: Path) -> str:
    """Return the URL of a photos.tgz with photos/rose/1.txt and photos/tulip/1.txt in it."""
    path = folder / "photos.tgz"
    with tarfile.open(str(path), "w:gz") as file:
        for name in ("photos/rose/1.txt", "photos/tulip/1.txt"):
            info = tarfile.TarInfo(name)
            info.size = 1
            file.addfile(info, io.BytesIO(b"1"))
    return path.as_uri()


def check_classes(folder: Path) -> None:
    found = sorted(path.parent.name for path in folder.glob("*/*.txt"))
    below = sorted(path.name for path in folder.glob("*"))
    assert found == ["rose", "tulip"], f"the classes are {found}, {folder.name} has {below}"


@pytest.mark.capability("tools.get-file")
def test_get_file(tmp_path: Path, downloads: Path) -> None:
    import tensorflow as tf

    source = tmp_path / "source.txt"
    for text in ("one", "two"):
        source.write_text(text, encoding="utf-8")
        found = tf.keras.utils.get_file("copy.txt", source.as_uri(), cache_dir=str(downloads))
        copied = Path(found).read_text(encoding="utf-8")
        assert copied == "one", f"the second time it has {copied!r}: it was not to be downloaded again"
        assert downloads in Path(found).parents, f"{found} is not in the folder asked for"


@pytest.mark.capability("tools.get-file-untar")
def test_get_file_untar(tmp_path: Path, downloads: Path) -> None:
    import tensorflow as tf

    found = tf.keras.utils.get_file("photos", archive(tmp_path), untar=True, cache_dir=str(downloads))
    check_classes(Path(found))


@pytest.mark.capability("tools.get-file-extract")
def test_get_file_extract(tmp_path: Path, downloads: Path) -> None:
    import tensorflow as tf

    found = tf.keras.utils.get_file("photos.tgz", archive(tmp_path), extract=True, cache_dir=str(downloads))
    check_classes(Path(found).with_suffix(""))


@pytest.mark.capability("tools.get-file-search")
def test_get_file_search(tmp_path: Path, downloads: Path) -> None:
    import tensorflow as tf

    tf.keras.utils.get_file("photos.tgz", archive(tmp_path), extract=True, cache_dir=str(downloads))
    check_classes(next(downloads.rglob("photos/rose")).parent)


# Speed


@pytest.fixture
def policy() -> Iterator[Callable[[str], None]]:
    import tensorflow as tf

    yield tf.keras.mixed_precision.set_global_policy
    tf.keras.mixed_precision.set_global_policy("float32")


def check_policy(dtype: str) -> None:
    import numpy as np
    import tensorflow as tf

    layers = [
        tf.keras.Input((8, 8, 1)),
        tf.keras.layers.Conv2D(2, 3),
        tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(1, dtype="float32"),
    ]
    model = tf.keras.Sequential(layers)
    with tf.device("/CPU:0"):
        model.compile(tf.keras.optimizers.SGD(0.01), "mse")
        history = model.fit(np.full((8, 8, 8, 1), 0.1), np.ones((8, 1)), epochs=6, verbose=0)
    assert model.layers[0].compute_dtype == dtype, f"computes in {model.layers[0].compute_dtype}"
    kernel = tf.as_dtype(model.layers[0].kernel.dtype).name
    assert kernel == "float32", f"a kernel of {kernel}"
    losses = history.history["loss"]
    assert losses[-1] < losses[0], f"losses {losses}"


@pytest.mark.capability("tools.mixed-float16")
def test_mixed_float16(policy: Callable[[str], None]) -> None:
    policy("mixed_float16")
    check_policy("float16")


@pytest.mark.capability("tools.mixed-bfloat16")
def test_mixed_bfloat16(policy: Callable[[str], None]) -> None:
    policy("mixed_bfloat16")
    check_policy("bfloat16")


@pytest.mark.capability("tools.xla-function")
def test_xla_function() -> None:
    import tensorflow as tf

    squares = tf.function(lambda values: tf.reduce_sum(values * values), jit_compile=True)
    with tf.device("/CPU:0"):
        found = float(squares(tf.constant([1.0, 2.0, 3.0])))
    assert found == 14.0, f"1 + 4 + 9 is {found}"


@pytest.mark.capability("tools.xla-training")
def test_xla_training() -> None:
    import tensorflow as tf

    model = small_model()
    model.compile("sgd", "mse", jit_compile=True)
    with tf.device("/CPU:0"):
        history = model.fit(numbers(), numbers()[:, :2], epochs=3, verbose=0)
    losses = history.history["loss"]
    assert losses[-1] < losses[0], f"losses {losses}"


# HDF5


@pytest.mark.capability("tools.hdf5")
def test_hdf5(tmp_path: Path) -> None:
    import h5py
    import numpy as np
    import tensorflow as tf

    values = np.arange(12.0).reshape(3, 4)
    with h5py.File(tmp_path / "values.h5", "w") as file:
        file.create_dataset("values", data=values, compression="gzip")
        file.attrs["names"] = ["one", "two"]
    with h5py.File(tmp_path / "values.h5", "r") as file:
        found = tf.constant(file["values"][:])
        names = [str(name) for name in file.attrs["names"]]
    near(found, values, within=0)
    assert names == ["one", "two"], f"names {names}"
