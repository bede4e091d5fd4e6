"""MirroredStrategy over two logical CPU devices: what can feed it, and whether the training is right."""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Iterator, List, Tuple

import numpy as np
import pytest
from given import Measure

COUNT = 512
BATCH = 64
EPOCHS = 2
TIMED_EPOCHS = 3
CLASSES = 3

Arrays = Tuple[Any, Any]


@pytest.fixture(scope="session")
def devices() -> List[str]:
    """The names of the logical CPUs, made before TensorFlow computes anything."""
    import tensorflow as tf

    count = int(os.environ["METALOCK_LOGICAL_CPUS"])
    (cpu,) = tf.config.list_physical_devices("CPU")
    wanted = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
    tf.config.set_logical_device_configuration(cpu, wanted)
    return [f"/CPU:{number}" for number in range(count)]


@pytest.fixture(scope="session")
def strategy(devices: List[str]) -> Any:
    import tensorflow as tf

    mirrored = tf.distribute.MirroredStrategy(devices)
    assert mirrored.num_replicas_in_sync == len(devices), "the strategy doesn't use every device"
    return mirrored


@pytest.fixture(scope="session")
def arrays() -> Arrays:
    chance = np.random.default_rng(3)
    labels = np.arange(COUNT, dtype=np.int64) % CLASSES
    images = chance.random((COUNT, 12, 12, 3), dtype=np.float32)
    images += labels[:, None, None, None].astype(np.float32)
    return images / (CLASSES + 1), labels


def compiled_model() -> Any:
    """The same weights at every call; shallow, so that sums in another order stay close."""
    import tensorflow as tf

    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            layers.Input(shape=(12, 12, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(CLASSES),
        ]
    )
    chance = np.random.default_rng(11)
    model.set_weights([chance.normal(0, 0.05, weight.shape) for weight in model.get_weights()])
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=tf.keras.optimizers.SGD(0.1), loss=loss)
    return model


def fit(model: Any, data: Any, **more: Any) -> List[float]:
    """The loss of each epoch."""
    return list(model.fit(data, epochs=EPOCHS, verbose=0, shuffle=False, **more).history["loss"])


def speed_of(model: Any, data: Any, **more: Any) -> float:
    """Images a second between the steps of an epoch, of a model that was trained before.

    The best epoch counts, since others are slowed by what else goes on; each begins with a new iterator,
    which takes longer than all its steps and is not counted.
    """
    import tensorflow as tf

    ended: List[float] = []
    watch = tf.keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs=None: ended.append(time.perf_counter())  # noqa: ARG005
    )
    model.fit(data, epochs=TIMED_EPOCHS, verbose=0, shuffle=False, callbacks=[watch], **more)
    steps = len(ended) // TIMED_EPOCHS
    epochs = [ended[first : first + steps] for first in range(0, len(ended), steps)]
    return (steps - 1) * BATCH / min(epoch[-1] - epoch[0] for epoch in epochs)


def batches(arrays: Arrays) -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(arrays).batch(BATCH).prefetch(2)


def flow(arrays: Arrays) -> Any:
    import tensorflow as tf

    generator = tf.keras.preprocessing.image.ImageDataGenerator()
    return generator.flow(*arrays, batch_size=BATCH, shuffle=False)


def from_generator(arrays: Arrays) -> Any:
    import tensorflow as tf

    def one_epoch() -> Iterator[Arrays]:
        found = flow(arrays)
        for index in range(len(found)):
            yield found[index]

    signature = (
        tf.TensorSpec((None, 12, 12, 3), tf.float32),
        tf.TensorSpec((None,), tf.int64),
    )
    return tf.data.Dataset.from_generator(one_epoch, output_signature=signature).prefetch(2)


def endless(arrays: Arrays) -> Iterator[Arrays]:
    while True:
        for start in range(0, COUNT, BATCH):
            yield arrays[0][start : start + BATCH], arrays[1][start : start + BATCH]


def numbers(model: Any) -> Any:
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


@pytest.fixture(scope="session")
def alone(devices: List[str], arrays: Arrays) -> Tuple[List[float], Any, float]:
    """Loss by epoch, weights, and images a second then, of one device fed by tf.data."""
    import tensorflow as tf

    with tf.device(devices[0]):
        model = compiled_model()
        losses = fit(model, batches(arrays))
        weights = numbers(model)
        speed = speed_of(model, batches(arrays))
    assert losses[-1] < losses[0], f"one device doesn't learn: {losses}"
    return losses, weights, speed


@pytest.fixture(scope="session")
def mirrored_speed(strategy: Any, arrays: Arrays) -> float:
    """Images a second of both devices fed by tf.data."""
    with strategy.scope():
        model = compiled_model()
    fit(model, batches(arrays))
    return speed_of(model, batches(arrays))


Trained = Callable[..., None]


@pytest.fixture
def trained(
    strategy: Any, alone: Tuple[List[float], Any, float], mirrored_speed: float, measure: Measure
) -> Trained:
    """Train on both devices with the data given, and compare with one device, and with tf.data on both."""

    def train(data: Any, **more: Any) -> None:
        with strategy.scope():
            model = compiled_model()
        fit(model, data, **more)
        apart = float(np.abs(numbers(model) - alone[1]).max())
        measure("largest_difference_of_a_weight", apart)
        assert apart < 1e-4, f"a weight differs by {apart} from the training on one device"
        measure("images_per_second_between_steps", round(speed_of(model, data, **more)))
        measure("images_per_second_between_steps_of_tf_data", round(mirrored_speed))
        measure("images_per_second_between_steps_of_tf_data_on_one_device", round(alone[2]))

    return train


@pytest.mark.capability("distribution.tf-data")
def test_tf_data(trained: Trained, arrays: Arrays) -> None:
    trained(batches(arrays))


@pytest.mark.capability("distribution.image-data-generator")
def test_image_data_generator(trained: Trained, arrays: Arrays) -> None:
    trained(flow(arrays))


@pytest.mark.capability("distribution.from-generator")
def test_from_generator(trained: Trained, arrays: Arrays) -> None:
    trained(from_generator(arrays))


@pytest.mark.capability("distribution.python-generator")
def test_python_generator(trained: Trained, arrays: Arrays) -> None:
    trained(endless(arrays), steps_per_epoch=COUNT // BATCH)


@pytest.mark.capability("distribution.arrays")
def test_arrays(trained: Trained, arrays: Arrays) -> None:
    trained(arrays[0], y=arrays[1], batch_size=BATCH)


@pytest.mark.capability("distribution.replicas-agree")
def test_replicas_agree(strategy: Any, arrays: Arrays) -> None:
    with strategy.scope():
        model = compiled_model()
    fit(model, batches(arrays))
    for weight in model.trainable_variables:
        variable = weight if callable(weight.value) else weight.value  # Keras 2 and 3
        first, second = (np.asarray(copy) for copy in strategy.experimental_local_results(variable))
        apart = float(np.abs(first - second).max())
        assert apart == 0, f"a weight differs by {apart} from one replica to the other"


@pytest.mark.capability("distribution.reported-loss")
def test_reported_loss(strategy: Any, alone: Tuple[List[float], Any, float], arrays: Arrays) -> None:
    with strategy.scope():
        model = compiled_model()
    losses = fit(model, batches(arrays))
    assert np.allclose(losses, alone[0], rtol=1e-3), f"loss {losses} on two devices, {alone[0]} on one"


@pytest.mark.capability("distribution.finite-generator")
def test_finite_generator(strategy: Any, arrays: Arrays) -> None:
    import tensorflow as tf

    def once() -> Iterator[Arrays]:
        for start in range(0, COUNT, BATCH):
            yield arrays[0][start : start + BATCH], arrays[1][start : start + BATCH]

    steps: List[int] = []
    count = tf.keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs=None: steps.append(batch)  # noqa: ARG005
    )
    with strategy.scope():
        model = compiled_model()
    model.fit(once(), epochs=1, verbose=0, callbacks=[count])
    assert len(steps) == COUNT // BATCH, (
        f"the generator gave {COUNT // BATCH} batches, trained on {len(steps)}"
    )


def mirrored_sum(strategy: Any, data: Any) -> float:
    """The sum of all pixels that the replicas see."""
    import tensorflow as tf

    def step(batch: Any) -> Any:
        sums = strategy.run(lambda images, _: tf.reduce_sum(images), args=batch)
        return strategy.reduce(tf.distribute.ReduceOp.SUM, sums, axis=None)

    compiled = tf.function(step)
    return sum(float(compiled(batch)) for batch in data)


@pytest.mark.capability("distribution.own-loop")
def test_own_loop(strategy: Any, arrays: Arrays) -> None:
    found = mirrored_sum(strategy, strategy.experimental_distribute_dataset(batches(arrays)))
    wanted = float(arrays[0].sum(dtype=np.float64))
    assert abs(found - wanted) < 1e-4 * wanted, f"the replicas saw a sum of {found}, the images have {wanted}"


@pytest.mark.capability("distribution.own-loop-generator")
def test_own_loop_generator(strategy: Any, arrays: Arrays) -> None:
    found = mirrored_sum(strategy, strategy.experimental_distribute_dataset(flow(arrays)))
    wanted = float(arrays[0].sum(dtype=np.float64))
    assert abs(found - wanted) < 1e-4 * wanted, f"the replicas saw a sum of {found}, the images have {wanted}"


@pytest.mark.capability("distribution.own-loop-from-generator")
def test_own_loop_from_generator(strategy: Any, arrays: Arrays) -> None:
    found = mirrored_sum(strategy, strategy.experimental_distribute_dataset(from_generator(arrays)))
    wanted = float(arrays[0].sum(dtype=np.float64))
    assert abs(found - wanted) < 1e-4 * wanted, f"the replicas saw a sum of {found}, the images have {wanted}"
