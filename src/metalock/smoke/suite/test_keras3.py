"""What Keras 3 removed or changed: arguments, methods and imports that older code uses."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Dict

import pytest
from suite_fixtures import Measure

RATE = 0.25


def regression(rows: int = 8) -> Any:
    """Return two inputs and their sum."""
    import numpy as np

    inputs = np.arange(2 * rows, dtype="float32").reshape(rows, 2) / rows
    return inputs, inputs.sum(axis=1, keepdims=True)


def compiled(optimizer: object = "sgd") -> Any:
    """Return a compiled linear model of weights 1."""
    import tensorflow as tf

    model = tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizer=optimizer, loss="mse")
    return model


def batches() -> Any:
    """Return a Sequence of two batches."""
    import tensorflow as tf

    inputs, targets = regression()

    class Batches(tf.keras.utils.Sequence):  # type: ignore[misc]
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> Any:
            rows = slice(4 * index, 4 * index + 4)
            return inputs[rows], targets[rows]

    return Batches


def steps(optimizer: Any, count: int = 3) -> Any:
    """Return by how much each step moves a variable whose gradient is 1."""
    import tensorflow as tf

    variable = tf.Variable(0.0)
    moved = []
    for _ in range(count):
        before = float(variable.numpy())
        optimizer.apply_gradients([(tf.constant(1.0), variable)])
        moved.append(round(before - float(variable.numpy()), 6))
    return moved


def same(found: Any, wanted: Any) -> None:
    import numpy as np

    difference = float(np.abs(np.asarray(found) - np.asarray(wanted)).max())
    assert difference < 1e-5, f"predictions differ by {difference}"


# Training


@pytest.mark.capability("keras3.fit-workers")
def test_fit_workers() -> None:
    """Train one epoch only, since Keras 2.11 to 2.15 wait 5 s at the end of each for another batch."""
    history = compiled().fit(batches()(), epochs=1, workers=2, use_multiprocessing=False, verbose=0)
    assert len(history.history["loss"]) == 1, f"losses {history.history}"


@pytest.mark.capability("keras3.sequence-workers")
def test_sequence_workers() -> None:
    sequence = batches()(workers=2, use_multiprocessing=False)
    history = compiled().fit(sequence, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2, f"losses {history.history}"


@pytest.mark.capability("keras3.sequence")
def test_sequence() -> None:
    model = compiled()
    history = model.fit(batches()(), epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2, f"losses {history.history}"
    assert model.predict(batches()(), verbose=0).shape == (8, 1), "8 rows were to be predicted"


@pytest.mark.capability("keras3.fit-generator")
def test_fit_generator() -> None:
    history = compiled().fit_generator(batches()(), steps_per_epoch=2, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2, f"losses {history.history}"


@pytest.mark.capability("keras3.predict-generator")
def test_predict_generator() -> None:
    found = compiled().predict_generator(batches()(), steps=2)
    assert found.shape == (8, 1), f"predictions of shape {found.shape}"


@pytest.mark.capability("keras3.predict-classes")
def test_predict_classes() -> None:
    found = compiled().predict_classes(regression()[0])
    assert found.shape == (8, 1), f"classes of shape {found.shape}"


@pytest.mark.capability("keras3.predict-argmax")
def test_predict_argmax() -> None:
    import numpy as np
    import tensorflow as tf

    model = tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Softmax()])
    found = np.argmax(model.predict(np.eye(3, dtype="float32"), verbose=0), axis=-1)
    assert found.tolist() == [0, 1, 2], f"classes {found}"


@pytest.mark.capability("keras3.add-metric")
def test_add_metric() -> None:
    import tensorflow as tf

    inputs = tf.keras.Input((2,))
    outputs = tf.keras.layers.Dense(1)(inputs)
    level = tf.keras.layers.Lambda(tf.reduce_mean)(outputs)
    model = tf.keras.Model(inputs, outputs)
    model.add_metric(level, name="level")
    model.compile("sgd", "mse")
    history = model.fit(*regression(), verbose=0).history
    assert "level" in history, f"history has {sorted(history)}"


@pytest.mark.capability("keras3.metric-in-layer")
def test_metric_in_layer() -> None:
    import tensorflow as tf

    class Level(tf.keras.layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.level = tf.keras.metrics.Mean(name="level")

        def call(self, rows: Any) -> Any:
            self.level.update_state(rows)
            return rows

    model = tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(1), Level()])
    model.compile("sgd", "mse")
    history = model.fit(*regression(), verbose=0).history
    assert history.get("level", [0.0]) != [0.0], f"history is {history}"


# Optimizers


@pytest.mark.capability("keras3.optimizer-lr")
def test_optimizer_lr() -> None:
    import tensorflow as tf

    found = float(tf.keras.optimizers.Adam(lr=RATE).learning_rate.numpy())
    assert found == RATE, f"lr={RATE} makes a learning rate of {found:.4f}"


@pytest.mark.capability("keras3.optimizer-learning-rate")
def test_optimizer_learning_rate() -> None:
    import tensorflow as tf

    found = float(tf.keras.optimizers.Adam(learning_rate=RATE).learning_rate.numpy())
    assert found == RATE, f"learning_rate={RATE} makes a learning rate of {found:.4f}"


@pytest.mark.capability("keras3.optimizer-decay")
def test_optimizer_decay() -> None:
    import tensorflow as tf

    moved = steps(tf.keras.optimizers.SGD(learning_rate=1.0, decay=1.0))
    assert moved == [1.0, 0.5, 0.333333], f"steps of {moved}"


@pytest.mark.capability("keras3.optimizer-decay-schedule")
def test_optimizer_decay_schedule() -> None:
    import tensorflow as tf

    schedule = tf.keras.optimizers.schedules.InverseTimeDecay(1.0, decay_steps=1, decay_rate=1.0)
    moved = steps(tf.keras.optimizers.SGD(learning_rate=schedule))
    assert moved == [1.0, 0.5, 0.333333], f"steps of {moved}"


@pytest.mark.capability("keras3.optimizer-legacy")
def test_optimizer_legacy() -> None:
    import tensorflow as tf

    moved = steps(tf.keras.optimizers.legacy.SGD(learning_rate=1.0, decay=1.0))
    assert moved == [1.0, 0.5, 0.333333], f"steps of {moved}"


@pytest.mark.capability("keras3.optimizer-set-value")
def test_optimizer_set_value() -> None:
    import tensorflow as tf

    model = compiled("adam")
    tf.keras.backend.set_value(model.optimizer.lr, RATE)
    found = float(model.optimizer.learning_rate.numpy())
    assert found == RATE, f"a learning rate of {found:.4f} after set_value({RATE})"


@pytest.mark.capability("keras3.optimizer-assign")
def test_optimizer_assign() -> None:
    model = compiled("adam")
    model.optimizer.learning_rate.assign(RATE)
    found = float(model.optimizer.learning_rate.numpy())
    assert found == RATE, f"a learning rate of {found:.4f} after assign({RATE})"


# Saving


@pytest.mark.capability("keras3.save-folder")
def test_save_folder(tmp_path: Path) -> None:
    import tensorflow as tf

    model = compiled()
    inputs, _ = regression()
    model.save(str(tmp_path / "model"))
    loaded = tf.keras.models.load_model(str(tmp_path / "model"))
    same(loaded.predict(inputs, verbose=0), model.predict(inputs, verbose=0))


@pytest.mark.capability("keras3.export-folder")
def test_export_folder(tmp_path: Path) -> None:
    import tensorflow as tf

    model = compiled()
    inputs, _ = regression()
    model.export(str(tmp_path / "model"))
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    same(loaded.serve(inputs), model.predict(inputs, verbose=0))


@pytest.mark.capability("keras3.saved-model-save")
def test_saved_model_save(tmp_path: Path) -> None:
    import tensorflow as tf

    model = compiled()
    inputs, _ = regression()
    tf.saved_model.save(model, str(tmp_path / "model"))
    serve = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    (found,) = serve(tf.constant(inputs)).values()
    same(found, model.predict(inputs, verbose=0))


def check_weights(path: str) -> None:
    model, other = compiled(), compiled()
    model.set_weights([weight + 2.0 for weight in model.get_weights()])
    model.save_weights(path)
    other.load_weights(path)
    inputs, _ = regression()
    same(other.predict(inputs, verbose=0), model.predict(inputs, verbose=0))


@pytest.mark.capability("keras3.save-weights-h5")
def test_save_weights_h5(tmp_path: Path) -> None:
    check_weights(str(tmp_path / "model.h5"))


@pytest.mark.capability("keras3.save-weights-weights-h5")
def test_save_weights_weights_h5(tmp_path: Path) -> None:
    check_weights(str(tmp_path / "model.weights.h5"))


@pytest.mark.capability("keras3.save-weights-checkpoint")
def test_save_weights_checkpoint(tmp_path: Path) -> None:
    check_weights(str(tmp_path / "checkpoint"))


@pytest.mark.capability("keras3.train-checkpoint")
def test_train_checkpoint(tmp_path: Path) -> None:
    import tensorflow as tf

    model, other = compiled(), compiled()
    model.set_weights([weight + 2.0 for weight in model.get_weights()])
    path = tf.train.Checkpoint(model=model).save(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(model=other).restore(path)
    inputs, _ = regression()
    same(other.predict(inputs, verbose=0), model.predict(inputs, verbose=0))


def check_callback(path: str) -> None:
    import tensorflow as tf

    model = compiled()
    inputs, targets = regression()
    best = tf.keras.callbacks.ModelCheckpoint(path, monitor="loss", save_best_only=True)
    model.fit(inputs, targets, callbacks=[best], verbose=0)
    same(
        tf.keras.models.load_model(path, compile=False).predict(inputs, verbose=0),
        model.predict(inputs, verbose=0),
    )


@pytest.mark.capability("keras3.checkpoint-hdf5")
def test_checkpoint_hdf5(tmp_path: Path) -> None:
    check_callback(str(tmp_path / "best.hdf5"))


@pytest.mark.capability("keras3.checkpoint-h5")
def test_checkpoint_h5(tmp_path: Path) -> None:
    check_callback(str(tmp_path / "best.h5"))


@pytest.mark.capability("keras3.checkpoint-keras")
def test_checkpoint_keras(tmp_path: Path) -> None:
    check_callback(str(tmp_path / "best.keras"))


# Layers


@pytest.mark.capability("keras3.input-shape")
def test_input_shape() -> None:
    import tensorflow as tf

    model = tf.keras.Sequential([tf.keras.layers.Dense(3, input_shape=(2,))])
    assert model.count_params() == 9, f"{model.count_params()} parameters"


@pytest.mark.capability("keras3.batch-input-shape")
def test_batch_input_shape() -> None:
    import numpy as np
    import tensorflow as tf

    lstm = tf.keras.layers.LSTM(2, stateful=True, batch_input_shape=(4, 3, 1))
    found = tf.keras.Sequential([lstm]).predict(np.ones((4, 3, 1)), batch_size=4, verbose=0)
    assert found.shape == (4, 2), f"an output of shape {found.shape}"


@pytest.mark.capability("keras3.input-batch-size")
def test_input_batch_size() -> None:
    import numpy as np
    import tensorflow as tf

    lstm = tf.keras.layers.LSTM(2, stateful=True)
    model = tf.keras.Sequential([tf.keras.Input((3, 1), batch_size=4), lstm])
    first, second = (model.predict(np.ones((4, 3, 1)), batch_size=4, verbose=0) for _ in range(2))
    assert first.shape == (4, 2), f"an output of shape {first.shape}"
    assert abs(first - second).max() > 0, "the state was not kept"


@pytest.mark.capability("keras3.embedding-weights")
def test_embedding_weights() -> None:
    import numpy as np
    import tensorflow as tf

    table = np.arange(8.0, dtype="float32").reshape(4, 2)
    layer = tf.keras.layers.Embedding(4, 2, weights=[table], trainable=False)
    found = tf.keras.Sequential([tf.keras.Input((1,)), layer])(np.array([[3]])).numpy()
    assert found.ravel().tolist() == [6.0, 7.0], f"row 3 is {found.ravel()}"


@pytest.mark.capability("keras3.embedding-input-length")
def test_embedding_input_length() -> None:
    import numpy as np
    import tensorflow as tf

    model = tf.keras.Sequential([tf.keras.layers.Embedding(4, 2, input_length=3), tf.keras.layers.Flatten()])
    found = model.predict(np.zeros((5, 3), dtype="int32"), verbose=0)
    assert found.shape == (5, 6), f"an output of shape {found.shape}"


@pytest.mark.capability("keras3.embedding-initializer")
def test_embedding_initializer() -> None:
    import numpy as np
    import tensorflow as tf

    table = np.arange(8.0, dtype="float32").reshape(4, 2)
    constant = tf.keras.initializers.Constant(table)
    layer = tf.keras.layers.Embedding(4, 2, embeddings_initializer=constant, trainable=False)
    found = layer(np.array([[3]])).numpy()
    assert found.ravel().tolist() == [6.0, 7.0], f"row 3 is {found.ravel()}"


@pytest.mark.capability("keras3.layer-output-shape")
def test_layer_output_shape() -> None:
    found = compiled().layers[-1].output_shape
    assert tuple(found) == (None, 1), f"output_shape is {found}"


@pytest.mark.capability("keras3.layer-output")
def test_layer_output() -> None:
    found = compiled().layers[-1].output.shape
    assert tuple(found) == (None, 1), f"output.shape is {found}"


@pytest.mark.capability("keras3.tensorflow-function-on-input")
def test_tensorflow_function_on_input() -> None:
    import numpy as np
    import tensorflow as tf

    inputs = tf.keras.Input((2,))
    model = tf.keras.Model(inputs, tf.reduce_sum(inputs, axis=1))
    found = model.predict(np.array([[1.0, 2.0]]), verbose=0)
    assert found.tolist() == [3.0], f"1 + 2 is {found}"


@pytest.mark.capability("keras3.tensorflow-function-in-lambda")
def test_tensorflow_function_in_lambda() -> None:
    import numpy as np
    import tensorflow as tf

    inputs = tf.keras.Input((2,))
    model = tf.keras.Model(inputs, tf.keras.layers.Lambda(lambda rows: tf.reduce_sum(rows, axis=1))(inputs))
    found = model.predict(np.array([[1.0, 2.0]]), verbose=0)
    assert found.tolist() == [3.0], f"1 + 2 is {found}"


@pytest.mark.capability("keras3.experimental-preprocessing")
def test_experimental_preprocessing() -> None:
    import tensorflow as tf

    layer = tf.keras.layers.experimental.preprocessing.Rescaling(1 / 255)
    found = float(layer(tf.constant([255.0])).numpy()[0])
    assert abs(found - 1) < 1e-6, f"255 is rescaled to {found}"


@pytest.mark.capability("keras3.preprocessing-layers")
def test_preprocessing_layers() -> None:
    import tensorflow as tf

    found = float(tf.keras.layers.Rescaling(1 / 255)(tf.constant([255.0])).numpy()[0])
    assert abs(found - 1) < 1e-6, f"255 is rescaled to {found}"


# Imports


@pytest.mark.capability("keras3.version")
def test_version(locked: Dict[str, str], measure: Measure) -> None:
    import tensorflow as tf
    from tensorflow import keras

    found = {keras.__version__, tf.keras.__version__}
    measure("keras", keras.__version__)
    assert found == {locked["keras"]}, f"{found}, locked {locked['keras']}"


@pytest.mark.capability("keras3.version-keras")
def test_version_keras(locked: Dict[str, str]) -> None:
    import keras

    assert keras.__version__ == locked["keras"], f"{keras.__version__}, locked {locked['keras']}"


@pytest.mark.capability("keras3.one-keras")
def test_one_keras() -> None:
    import keras
    import tensorflow as tf

    assert tf.keras.layers.Dense is keras.layers.Dense, "tf.keras and keras have each a Dense of their own"


@pytest.mark.capability("keras3.np-utils")
def test_np_utils() -> None:
    from keras.utils import np_utils

    found = np_utils.to_categorical([1], 3)
    assert found.tolist() == [[0.0, 1.0, 0.0]], f"class 1 of 3 is {found}"


@pytest.mark.capability("keras3.to-categorical")
def test_to_categorical() -> None:
    from keras.utils import to_categorical

    found = to_categorical([1], 3)
    assert found.tolist() == [[0.0, 1.0, 0.0]], f"class 1 of 3 is {found}"


@pytest.mark.capability("keras3.layers-normalization")
def test_layers_normalization() -> None:
    import keras
    from keras.layers.normalization import BatchNormalization

    assert BatchNormalization is keras.layers.BatchNormalization, "not the BatchNormalization of keras.layers"


@pytest.mark.capability("keras3.layers-core")
def test_layers_core() -> None:
    import keras
    from keras.layers.convolutional import Conv2D
    from keras.layers.core import Dense

    assert Dense is keras.layers.Dense, "not the Dense of keras.layers"
    assert Conv2D is keras.layers.Conv2D, "not the Conv2D of keras.layers"


@pytest.mark.capability("keras3.engine")
def test_engine() -> None:
    import keras
    from keras.engine.base_layer import Layer

    assert Layer is keras.layers.Layer, "not the Layer of keras.layers"


@pytest.mark.capability("keras3.layers")
def test_layers() -> None:
    import tensorflow as tf
    from keras.layers import BatchNormalization, Conv2D, Dense, Layer

    for layer in (BatchNormalization, Conv2D, Dense):
        assert issubclass(layer, Layer), f"{layer} is no Layer"
        assert layer is getattr(tf.keras.layers, layer.__name__), f"tf.keras has another {layer.__name__}"


@pytest.mark.capability("keras3.scikit-learn-wrapper")
def test_scikit_learn_wrapper() -> None:
    from tensorflow.keras.wrappers.scikit_learn import KerasRegressor

    inputs, targets = regression()
    found = KerasRegressor(compiled, epochs=1, verbose=0)
    found.fit(inputs, targets)
    assert found.predict(inputs).shape == (8,), "8 rows were to be predicted"


@pytest.mark.capability("keras3.experimental")
def test_experimental() -> None:
    import tensorflow as tf

    model = tf.keras.experimental.LinearModel()
    model.compile("sgd", "mse")
    history = model.fit(*regression(), verbose=0)
    assert len(history.history["loss"]) == 1, f"losses {history.history}"


@pytest.mark.capability("keras3.private")
def test_private() -> None:
    from tensorflow.python.keras.layers import Dense
    from tensorflow.python.keras.models import Sequential

    model = Sequential([Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
    history = model.fit(*regression(), verbose=0)
    assert len(history.history["loss"]) == 1, f"losses {history.history}"


@pytest.mark.capability("keras3.private-mixed")
def test_private_mixed() -> None:
    import tensorflow as tf
    from tensorflow.python.keras.layers import Dense

    model = tf.keras.Sequential([tf.keras.Input((2,)), Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(*regression(), verbose=0)
    assert len(history.history["loss"]) == 1, f"losses {history.history}"


@pytest.mark.capability("keras3.tokenizer-keras")
def test_tokenizer_keras() -> None:
    from keras.preprocessing.text import Tokenizer

    tokenizer = Tokenizer()
    tokenizer.fit_on_texts(["one two two"])
    assert tokenizer.texts_to_sequences(["two one"]) == [[1, 2]], "the more frequent word is number 1"


@pytest.mark.capability("keras3.tokenizer")
def test_tokenizer() -> None:
    from tensorflow.keras.preprocessing.text import Tokenizer

    tokenizer = Tokenizer()
    tokenizer.fit_on_texts(["one two two"])
    assert tokenizer.texts_to_sequences(["two one"]) == [[1, 2]], "the more frequent word is number 1"


@pytest.mark.capability("keras3.pad-sequences")
def test_pad_sequences() -> None:
    from tensorflow.keras.preprocessing.sequence import pad_sequences

    found = pad_sequences([[1, 2]], maxlen=3)
    assert found.tolist() == [[0, 1, 2]], f"padded to {found}"


@pytest.mark.capability("keras3.pad-sequences-keras")
def test_pad_sequences_keras() -> None:
    from keras.preprocessing.sequence import pad_sequences

    found = pad_sequences([[1, 2]], maxlen=3)
    assert found.tolist() == [[0, 1, 2]], f"padded to {found}"


# The backend module


@pytest.mark.capability("keras3.backend-tensorflow")
def test_backend_tensorflow() -> None:
    import tensorflow as tf
    from tensorflow.keras import backend

    found = float(backend.mean(backend.square(tf.constant([1.0, 3.0]))))
    assert found == 5.0, f"the mean square of 1 and 3 is {found}"


@pytest.mark.capability("keras3.backend-keras")
def test_backend_keras() -> None:
    import tensorflow as tf
    from keras import backend

    found = float(backend.mean(backend.square(tf.constant([1.0, 3.0]))))
    assert found == 5.0, f"the mean square of 1 and 3 is {found}"


@pytest.mark.capability("keras3.ops")
def test_ops() -> None:
    import tensorflow as tf
    from keras import ops

    found = float(ops.mean(ops.square(tf.constant([1.0, 3.0]))))
    assert found == 5.0, f"the mean square of 1 and 3 is {found}"


@pytest.mark.capability("keras3.set-session")
def test_set_session() -> None:
    import tensorflow as tf

    config = tf.compat.v1.ConfigProto()
    config.gpu_options.allow_growth = True
    backend = tf.compat.v1.keras.backend
    with tf.compat.v1.Session(config=config) as session:
        backend.set_session(session)
        assert backend.get_session() is session, "another session"
    backend.clear_session()


# Legacy Keras


@pytest.mark.capability("keras3.legacy")
def test_legacy(tmp_path: Path, measure: Measure) -> None:
    """Let tf_keras make a graph, only here: for TensorFlow 2.16, AutoGraph converts all of it in 15 s."""
    import tensorflow as tf
    import tf_keras
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    measure("keras", tf_keras.__version__)
    assert tf_keras.__version__.startswith("2."), f"tf_keras is {tf_keras.__version__}"
    assert tf.keras.layers.Dense is tf_keras.layers.Dense, f"Dense is of {tf.keras.layers.Dense.__module__}"
    model = compiled(tf.keras.optimizers.legacy.Adam(lr=RATE, decay=1e-3))
    assert float(model.optimizer.learning_rate) == RATE, f"a learning rate of {model.optimizer.learning_rate}"
    history = model.fit(batches()(), workers=1, use_multiprocessing=False, verbose=0)
    assert len(history.history["loss"]) == 1, f"losses {history.history}"
    assert ImageDataGenerator(rescale=0.5).rescale == 0.5, "ImageDataGenerator drops rescale"
    model.save(str(tmp_path / "model"))
    loaded = tf.keras.models.load_model(str(tmp_path / "model"))
    inputs, _ = regression()
    same(loaded.predict(inputs, verbose=0), model.predict(inputs, verbose=0))


@pytest.mark.capability("keras3.legacy-version")
def test_legacy_version() -> None:
    import tensorflow as tf

    assert tf.keras.__version__.startswith("2."), f"tf.keras is {tf.keras.__version__}"


@pytest.mark.capability("keras3.legacy-keras")
def test_legacy_keras() -> None:
    import keras

    assert keras.__version__.startswith("2."), f"keras is {keras.__version__}"


@pytest.mark.capability("keras3.legacy-missing")
def test_legacy_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf_keras", None)  # as if it weren't installed
    import tensorflow as tf

    layer = tf.keras.layers.Dense(1)
    assert layer(tf.ones((2, 2))).shape == (2, 1), "two rows were to come out"


@pytest.mark.capability("keras3.tf-keras-direct")
def test_tf_keras_direct() -> None:
    import tf_keras

    layers = [tf_keras.layers.Dense(1, input_shape=(2,))]
    model = tf_keras.Sequential(layers)
    model.compile(tf_keras.optimizers.legacy.SGD(lr=RATE), "mse", run_eagerly=True)  # see test_legacy
    history = model.fit(*regression(), workers=1, verbose=0)
    assert len(history.history["loss"]) == 1, f"losses {history.history}"


@pytest.mark.capability("keras3.tf-keras-mixed")
def test_tf_keras_mixed() -> None:
    import tensorflow as tf
    import tf_keras

    model = tf.keras.Sequential([tf.keras.Input((2,)), tf_keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(*regression(), verbose=0)
    assert len(history.history["loss"]) == 1, f"losses {history.history}"
