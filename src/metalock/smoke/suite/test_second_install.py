"""An environment after a second `pip install`: the locked packages, and then another on top."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest
from suite_fixtures import Measure


def versions(measure: Measure, *names: str) -> None:
    from importlib import metadata

    for name in names:
        measure(name, metadata.version(name))


def check_sum() -> None:
    """Check that NumPy's arrays reach TensorFlow, and its results NumPy."""
    import numpy as np
    import tensorflow as tf

    found = (tf.constant(np.array([1.0, 2.0], dtype="float32")) * 2).numpy()
    assert isinstance(found, np.ndarray), f"a {type(found)}"
    assert found.tolist() == [2.0, 4.0], f"twice 1 and 2 is {found}"


def check_training(inputs: Any, targets: Any) -> None:
    import tensorflow as tf

    model = tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    losses = model.fit(inputs, targets, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0], f"losses {losses}"


def table() -> Any:
    import numpy as np

    inputs = np.arange(16, dtype="float32").reshape(8, 2) / 16
    return inputs, inputs.sum(axis=1)


# pip install pandas


@pytest.mark.capability("second-install.pandas-keeps-numpy")
def test_pandas_keeps_numpy(locked: Dict[str, str], measure: Measure) -> None:
    from importlib import metadata

    versions(measure, "pandas", "numpy")
    found = metadata.version("numpy")
    assert found == locked["numpy"], f"NumPy is {found}, it was {locked['numpy']}"


@pytest.mark.capability("second-install.pandas-import")
def test_pandas_import() -> None:
    import pandas as pd
    import tensorflow as tf

    assert float(tf.reduce_sum(tf.constant([1.0, 2.0]))) == 3.0, "1 + 2 is not 3"
    assert int(pd.DataFrame({"one": [1, 2]})["one"].sum()) == 3, "1 + 2 is not 3"


@pytest.mark.capability("second-install.pandas-frame")
def test_pandas_frame() -> None:
    import pandas as pd
    import tensorflow as tf

    frame = pd.DataFrame({"one": [1.0, 2.0], "two": [3.0, 4.0]})
    rows = [(float(row["one"]), float(row["two"])) for row in tf.data.Dataset.from_tensor_slices(dict(frame))]
    assert rows == [(1.0, 3.0), (2.0, 4.0)], f"rows {rows}"


@pytest.mark.capability("second-install.pandas-fit")
def test_pandas_fit() -> None:
    import pandas as pd

    inputs, targets = table()
    check_training(pd.DataFrame(inputs, columns=["one", "two"]), pd.Series(targets))


# pip install --upgrade numpy


@pytest.mark.capability("second-install.numpy-import")
def test_numpy_import(measure: Measure) -> None:
    import tensorflow as tf

    versions(measure, "numpy")
    assert float(tf.reduce_sum(tf.constant([1.0, 2.0]))) == 3.0, "1 + 2 is not 3"


@pytest.mark.capability("second-install.numpy-array")
def test_numpy_array() -> None:
    check_sum()


@pytest.mark.capability("second-install.numpy-fit")
def test_numpy_fit() -> None:
    check_training(*table())


@pytest.mark.capability("second-install.numpy-h5py")
def test_numpy_h5py(tmp_path: Path) -> None:
    import h5py
    import numpy as np

    with h5py.File(tmp_path / "values.h5", "w") as file:
        file["values"] = np.arange(3)
    with h5py.File(tmp_path / "values.h5", "r") as file:
        found = file["values"][:].tolist()
    assert found == [0, 1, 2], f"read {found}"


@pytest.mark.capability("second-install.numpy-scipy")
def test_numpy_scipy() -> None:
    import numpy as np
    from scipy import ndimage

    found = ndimage.zoom(np.array([1.0, 2.0]), 2, order=0).tolist()
    assert found == [1.0, 1.0, 2.0, 2.0], f"zoomed {found}"


@pytest.mark.capability("second-install.numpy-pillow")
def test_numpy_pillow() -> None:
    import numpy as np
    from PIL import Image

    found = np.asarray(Image.fromarray(np.full((2, 3, 3), 7, dtype="uint8")))
    assert found.shape == (2, 3, 3), f"an image of shape {found.shape}"
    assert int(found.max()) == 7, f"pixels of {found.max()}"


# pip install --upgrade keras


@pytest.mark.capability("second-install.keras-import")
def test_keras_import(measure: Measure) -> None:
    import tensorflow as tf

    versions(measure, "keras", "numpy")
    assert float(tf.reduce_sum(tf.constant([1.0, 2.0]))) == 3.0, "1 + 2 is not 3"


@pytest.mark.capability("second-install.keras-tf-keras")
def test_keras_tf_keras() -> None:
    check_training(*table())


@pytest.mark.capability("second-install.keras-itself")
def test_keras_itself() -> None:
    import keras

    inputs, targets = table()
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    losses = model.fit(inputs, targets, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0], f"losses {losses}"
