"""Models saved and loaded: in one version, and from one version to another."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from saved import (
    check_continues,
    check_file,
    check_predictions,
    known,
    predicted,
    train_eagerly,
    trained_model,
    unpacked,
)

VERSIONS = ("2.10", "2.12", "2.15")  # of Keras 2, whose files are here


def load_uncompiled(path: str) -> Any:
    import tensorflow as tf

    return tf.keras.models.load_model(path, compile=False)


def round_trip(path: Path, keras: Any) -> None:
    model, x, _ = trained_model(keras, by_fit=not path.suffix)
    model.save(str(path))
    again = keras.models.load_model(str(path))
    check_predictions(predicted(again, x), predicted(model, x), path.name)


def goes_on(path: Path, keras: Any, *, eagerly: bool = False, **options: Any) -> None:
    model, x, y = trained_model(keras, by_fit=not path.suffix)
    model.save(str(path))
    again = keras.models.load_model(str(path), **options)
    if eagerly:
        again.run_eagerly = True
    check_continues(model, again, x, y)


@pytest.mark.capability("saving.h5")
def test_h5(tmp_path: Path) -> None:
    import tensorflow as tf

    model, x, _ = trained_model(tf.keras)
    model.save(str(tmp_path / "model.h5"))
    again = load_uncompiled(str(tmp_path / "model.h5"))
    check_predictions(predicted(again, x), predicted(model, x), "model.h5")


@pytest.mark.capability("saving.h5-compiled")
def test_h5_compiled(tmp_path: Path) -> None:
    import tensorflow as tf

    round_trip(tmp_path / "model.h5", tf.keras)


@pytest.mark.capability("saving.keras")
def test_keras(tmp_path: Path) -> None:
    import tensorflow as tf

    round_trip(tmp_path / "model.keras", tf.keras)


@pytest.mark.capability("saving.keras-is-zip")
def test_keras_is_zip(tmp_path: Path) -> None:
    import tensorflow as tf

    model, _, _ = trained_model(tf.keras)
    model.save(str(tmp_path / "model.keras"))
    start = (tmp_path / "model.keras").read_bytes()[:4]
    assert start == b"PK\x03\x04", f"not a zip file, it starts with {start!r}"
    names = zipfile.ZipFile(str(tmp_path / "model.keras")).namelist()
    assert {"config.json", "metadata.json", "model.weights.h5"} <= set(names), f"holds {names}"


@pytest.mark.capability("saving.folder")
def test_folder(tmp_path: Path) -> None:
    import tensorflow as tf

    round_trip(tmp_path / "model", tf.keras)
    assert (tmp_path / "model" / "saved_model.pb").is_file(), "no saved_model.pb"


@pytest.mark.capability("saving.export")
def test_export(tmp_path: Path) -> None:
    import tensorflow as tf

    model, x, _ = trained_model(tf.keras, by_fit=True)
    model.export(str(tmp_path / "model"))
    again = tf.saved_model.load(str(tmp_path / "model"))  # its variables live as long as it does
    check_predictions(again.serve(tf.constant(x)), predicted(model, x), "exported")


@pytest.mark.capability("saving.saved-model-of-module")
def test_saved_model_of_module(tmp_path: Path) -> None:
    import tensorflow as tf

    class Scale(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.factor = tf.Variable(3.0)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])  # type: ignore[untyped-decorator]
        def __call__(self, x: Any) -> Any:
            return self.factor * x

    tf.saved_model.save(Scale(), str(tmp_path / "scale"))
    again = tf.saved_model.load(str(tmp_path / "scale"))
    found = again(tf.constant([1.0, 2.0])).numpy().tolist()
    assert found == [3.0, 6.0], f"computes {found}"
    again.factor.assign(5.0)
    assert again(tf.constant([1.0])).numpy().tolist() == [5.0], "the variable doesn't count"


@pytest.mark.capability("saving.saved-model-of-keras")
def test_saved_model_of_keras(tmp_path: Path) -> None:
    import tensorflow as tf

    model, x, _ = trained_model(tf.keras, by_fit=True)
    tf.saved_model.save(model, str(tmp_path / "model"))
    again = tf.saved_model.load(str(tmp_path / "model"))
    signature = again.signatures["serving_default"]
    (found,) = signature(tf.constant(x)).values()
    check_predictions(found, predicted(model, x), "serving_default")


@pytest.mark.capability("saving.weights-h5")
def test_weights_h5(tmp_path: Path) -> None:
    import tensorflow as tf

    model, x, _ = trained_model(tf.keras)
    model.save_weights(str(tmp_path / "model.weights.h5"))
    other = tf.keras.models.clone_model(model)
    other.load_weights(str(tmp_path / "model.weights.h5"))
    check_predictions(predicted(other, x), predicted(model, x), "model.weights.h5")


@pytest.mark.capability("saving.weights-tf-format")
def test_weights_tf_format(tmp_path: Path) -> None:
    import tensorflow as tf

    model, x, _ = trained_model(tf.keras)
    model.save_weights(str(tmp_path / "weights"))
    assert (tmp_path / "weights.index").is_file(), "no checkpoint"
    other = tf.keras.models.clone_model(model)
    other.load_weights(str(tmp_path / "weights"))
    check_predictions(predicted(other, x), predicted(model, x), "weights")


@pytest.mark.capability("saving.checkpoint")
def test_checkpoint(tmp_path: Path) -> None:
    import tensorflow as tf

    model, x, y = trained_model(tf.keras)
    path = tf.train.Checkpoint(model=model, optimizer=model.optimizer).write(str(tmp_path / "checkpoint"))
    other = tf.keras.models.clone_model(model)
    other.compile(optimizer=tf.keras.optimizers.Adam(0.01), loss="mse")
    train_eagerly(other, x, y, steps=1)  # so that the optimizer has its variables
    tf.train.Checkpoint(model=other, optimizer=other.optimizer).read(path).assert_existing_objects_matched()
    check_continues(model, other, x, y)


@pytest.mark.capability("saving.goes-on-keras")
def test_goes_on_keras(tmp_path: Path) -> None:
    import tensorflow as tf

    goes_on(tmp_path / "model.keras", tf.keras)


@pytest.mark.capability("saving.goes-on-h5")
def test_goes_on_h5(tmp_path: Path) -> None:
    import tensorflow as tf

    goes_on(tmp_path / "model.h5", tf.keras)


@pytest.mark.capability("saving.keras-after-h5")
def test_keras_after_h5(tmp_path: Path) -> None:
    import tensorflow as tf

    model, _, _ = trained_model(tf.keras)
    model.save(str(tmp_path / "model.h5"))
    model.save(str(tmp_path / "model.keras"))
    again = tf.keras.models.load_model(str(tmp_path / "model.keras"))
    name = type(again.optimizer).__name__
    assert name == "Adam", f"the optimizer came back as {name}"


@pytest.mark.capability("saving.goes-on-folder")
def test_goes_on_folder(tmp_path: Path) -> None:
    import tensorflow as tf

    goes_on(tmp_path / "model", tf.keras)


@pytest.mark.capability("saving.old-h5")
def test_old_h5(tmp_path: Path) -> None:
    for version in VERSIONS:
        check_file(unpacked(version, tmp_path), "dense.h5", load_uncompiled)


@pytest.mark.capability("saving.old-h5-compiled")
def test_old_h5_compiled(tmp_path: Path) -> None:
    import tensorflow as tf

    for version in VERSIONS:
        check_file(unpacked(version, tmp_path), "dense.h5", tf.keras.models.load_model)


@pytest.mark.capability("saving.old-h5-depthwise")
def test_old_h5_depthwise(tmp_path: Path) -> None:
    for version in ("2.10", "2.15"):
        check_file(unpacked(version, tmp_path), "image.h5", load_uncompiled)


@pytest.mark.capability("saving.old-h5-lstm")
def test_old_h5_lstm(tmp_path: Path) -> None:
    for version in ("2.10", "2.15"):
        check_file(unpacked(version, tmp_path), "sequence.h5", load_uncompiled)


@pytest.mark.capability("saving.old-h5-lambda")
def test_old_h5_lambda(tmp_path: Path) -> None:
    check_file(unpacked("2.15", tmp_path), "lambda.h5", load_uncompiled)


@pytest.mark.capability("saving.old-keras")
def test_old_keras(tmp_path: Path) -> None:
    check_file(unpacked("2.15", tmp_path), "dense.keras", load_uncompiled)


@pytest.mark.capability("saving.old-keras-compiled")
def test_old_keras_compiled(tmp_path: Path) -> None:
    import tensorflow as tf

    check_file(unpacked("2.15", tmp_path), "dense.keras", tf.keras.models.load_model)


@pytest.mark.capability("saving.old-keras-functional")
def test_old_keras_functional(tmp_path: Path) -> None:
    check_file(unpacked("2.15", tmp_path), "image.keras", load_uncompiled)


@pytest.mark.capability("saving.old-keras-lstm")
def test_old_keras_lstm(tmp_path: Path) -> None:
    check_file(unpacked("2.15", tmp_path), "sequence.keras", load_uncompiled)


def check_weights(folder: Path, file: str) -> None:
    """Load the weights into a newly built model of the same layers."""
    import tensorflow as tf

    layers = tf.keras.layers
    inputs, outputs = known(folder, "sequence")
    model = tf.keras.Sequential([tf.keras.Input((4, 3)), layers.LSTM(3), layers.Dense(2)])
    model.load_weights(str(folder / file))
    check_predictions(predicted(model, inputs), outputs, f"{file} of {folder.name}")


@pytest.mark.capability("saving.old-weights")
def test_old_weights(tmp_path: Path) -> None:
    check_weights(unpacked("2.15", tmp_path), "sequence.weights.h5")


@pytest.mark.capability("saving.old-h5-weights")
def test_old_h5_weights(tmp_path: Path) -> None:
    for version in ("2.10", "2.15"):
        check_weights(unpacked(version, tmp_path), "sequence.h5")


@pytest.mark.capability("saving.old-folder")
def test_old_folder(tmp_path: Path) -> None:
    for version in VERSIONS:
        check_file(unpacked(version, tmp_path), "dense", load_uncompiled)


@pytest.mark.capability("saving.old-folder-compiled")
def test_old_folder_compiled(tmp_path: Path) -> None:
    import tensorflow as tf

    for version in VERSIONS:
        check_file(unpacked(version, tmp_path), "dense", tf.keras.models.load_model)


@pytest.mark.capability("saving.old-folder-layer")
def test_old_folder_layer(tmp_path: Path) -> None:
    import keras

    for version in ("2.15", "2.18"):
        folder = unpacked(version, tmp_path)
        inputs, outputs = known(folder, "dense")
        endpoint = "serving_default"
        layer = keras.layers.TFSMLayer(str(folder / "dense"), call_endpoint=endpoint)
        found = layer(inputs)
        (found,) = found.values() if isinstance(found, dict) else [found]
        check_predictions(found, outputs, f"SavedModel of {version}")


@pytest.mark.capability("saving.old-saved-model")
def test_old_saved_model(tmp_path: Path) -> None:
    import tensorflow as tf

    for version in (*VERSIONS, "2.18"):
        folder = unpacked(version, tmp_path)
        inputs, outputs = known(folder, "dense")
        again = tf.saved_model.load(str(folder / "dense"))
        signature = again.signatures["serving_default"]
        (found,) = signature(tf.constant(inputs)).values()
        check_predictions(found, outputs, f"SavedModel of {version}")


@pytest.mark.capability("saving.new-h5")
def test_new_h5(tmp_path: Path) -> None:
    check_file(unpacked("2.18", tmp_path), "dense.h5", load_uncompiled)


@pytest.mark.capability("saving.new-keras")
def test_new_keras(tmp_path: Path) -> None:
    folder = unpacked("2.18", tmp_path)
    for name in ("dense", "image"):
        check_file(folder, f"{name}.keras", load_uncompiled)


@pytest.mark.capability("saving.new-weights")
def test_new_weights(tmp_path: Path) -> None:
    check_weights(unpacked("2.18", tmp_path), "sequence.weights.h5")


def check_compiled_by_tf_keras(folder: Path, file: str) -> None:
    """Check the predictions, and how many steps the optimizer has made."""
    import tf_keras

    model = check_file(folder, file, tf_keras.models.load_model)
    steps = int(model.optimizer.iterations.numpy())
    assert steps == 3, f"{file} of {folder.name}: the optimizer came back with {steps} steps of 3"


@pytest.mark.capability("saving.tf-keras-old-h5")
def test_tf_keras_old_h5(tmp_path: Path) -> None:
    for version, file in (("2.10", "dense.h5"), ("2.10", "image.h5"), ("2.15", "sequence.h5")):
        check_compiled_by_tf_keras(unpacked(version, tmp_path), file)


@pytest.mark.capability("saving.tf-keras-old-keras")
def test_tf_keras_old_keras(tmp_path: Path) -> None:
    for version, file in (("2.12", "dense.keras"), ("2.15", "image.keras")):
        check_compiled_by_tf_keras(unpacked(version, tmp_path), file)


@pytest.mark.capability("saving.tf-keras-old-folder")
def test_tf_keras_old_folder(tmp_path: Path) -> None:
    import tf_keras

    for version in VERSIONS:
        check_file(unpacked(version, tmp_path), "dense", tf_keras.models.load_model)


@pytest.mark.capability("saving.tf-keras-new")
def test_tf_keras_new(tmp_path: Path) -> None:
    import tf_keras

    check_file(unpacked("2.18", tmp_path), "dense.keras", tf_keras.models.load_model)


@pytest.mark.capability("saving.tf-keras-round-trip")
def test_tf_keras_round_trip(tmp_path: Path) -> None:
    import tf_keras

    goes_on(tmp_path / "model.keras", tf_keras, eagerly=True)  # see test_keras3.test_legacy
