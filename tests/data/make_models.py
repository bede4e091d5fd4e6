"""Write models with the TensorFlow that runs this: `python make_models.py FOLDER` adds `tf2.15.zip` there.

Run with the interpreter of an environment. Each model is saved in every format that its Keras has, with
what it predicts, after a few steps of training, for a fixed input. suite/saved.py reads them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

SEED = 20240229
DATE = (2024, 2, 29, 0, 0, 0)
INPUTS = {"dense": (3,), "image": (6, 6, 2), "sequence": (4, 3), "lambda": (3,), "stateful": (4, 3)}
BATCH = 2


def make_model(name: str, layers: Any) -> Any:
    """The model of that name: the layers whose configuration changed from Keras 2 to 3."""
    import tensorflow as tf

    shape = INPUTS[name]
    if name == "image":
        inputs = tf.keras.Input(shape)
        x = layers.Conv2D(3, 3, activation="relu")(inputs)
        x = layers.BatchNormalization()(x)
        x = layers.DepthwiseConv2D(2)(x)
        x = layers.GlobalAveragePooling2D()(x)
        return tf.keras.Model(inputs, layers.Dense(2, activation="softmax")(x))
    body = {
        "dense": lambda: [tf.keras.Input(shape), layers.Dense(4, activation="relu")],
        "sequence": lambda: [tf.keras.Input(shape), layers.LSTM(3)],
        "lambda": lambda: [tf.keras.Input(shape), layers.Lambda(lambda x: 2 * x + 1)],
        "stateful": lambda: [tf.keras.Input(batch_shape=(BATCH, *shape)), layers.GRU(3)],
    }[name]()
    return tf.keras.Sequential([*body, layers.Dense(2)])


def save(model: Any, name: str, folder: Path) -> None:
    """In each format that this Keras has; `dense` also as SavedModel: `save` in Keras 2, `export` in 3."""
    import tensorflow as tf

    minor = int(tf.__version__.split(".")[1])
    modern = minor >= 16  # Keras 3
    if minor >= 12:
        model.save(folder / f"{name}.keras", **({} if modern else {"save_format": "keras"}))
    model.save(folder / f"{name}.h5")  # after .keras: from then on, Keras 3 writes no optimizer there
    model.save_weights(folder / f"{name}.weights.h5")
    if name != "dense":
        return
    if modern:
        model.export(folder / name, verbose=False)
    else:
        model.save(folder / name, save_format="tf")


def main(into: Path) -> None:
    import numpy as np
    import tensorflow as tf

    tf.keras.utils.set_random_seed(SEED)
    with tempfile.TemporaryDirectory() as scratch:
        folder, known = Path(scratch), {}
        for name, shape in INPUTS.items():
            x = np.random.default_rng(SEED).standard_normal((BATCH, *shape)).astype(np.float32)
            model = make_model(name, tf.keras.layers)
            model.compile(optimizer=tf.keras.optimizers.Adam(0.01), loss="mse")
            model.fit(x, np.ones((BATCH, 2), np.float32), epochs=3, verbose=0, batch_size=BATCH)
            known[name] = {"inputs": x.tolist(), "outputs": model.predict(x, verbose=0).tolist()}
            save(model, name, folder)
        (folder / "known.json").write_text(json.dumps(known), encoding="utf-8")
        version = ".".join(tf.__version__.split(".")[:2])
        with zipfile.ZipFile(
            into / f"tf{version}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9
        ) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    info = zipfile.ZipInfo(str(path.relative_to(folder)), DATE)
                    info.compress_type = zipfile.ZIP_DEFLATED
                    archive.writestr(info, path.read_bytes(), compresslevel=9)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
