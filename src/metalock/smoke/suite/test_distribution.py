"""MirroredStrategy over two logical CPU devices: what can feed it, and whether the training is right."""

from __future__ import annotations

import time
from typing import Any, Callable, Iterator, List, NamedTuple, Tuple

import numpy as np
import pytest
from suite_fixtures import Measure

COUNT = 512
BATCH = 64
EPOCHS = 3
CLASSES = 3

Arrays = Tuple[Any, Any]


@pytest.fixture(scope="session")
def strategy(logical_cpus: List[str]) -> Any:
    import tensorflow as tf

    mirrored = tf.distribute.MirroredStrategy(logical_cpus)
    assert mirrored.num_replicas_in_sync == len(logical_cpus), "the strategy doesn't use every device"
    return mirrored


@pytest.fixture(scope="session")
def arrays() -> Arrays:
    chance = np.random.default_rng(3)
    labels = np.arange(COUNT, dtype=np.int64) % CLASSES
    images = chance.random((COUNT, 12, 12, 3), dtype=np.float32)
    images += labels[:, None, None, None].astype(np.float32)
    return images / (CLASSES + 1), labels


def compiled_model() -> Any:
    """Return a model with the same weights at every call; shallow, so that reordered sums stay close."""
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


class Training(NamedTuple):
    """The result of one training."""

    losses: List[float]
    """The loss of each epoch."""
    weights: Any
    speed: float
    """Images per second between the steps of an epoch.

    The best epoch counts, since other work slows the rest. Each epoch starts with a new iterator, and the
    first with a new graph, which take longer than all the steps and are not counted.
    """


def train(model: Any, data: Any, **more: Any) -> Training:
    import tensorflow as tf

    ended: List[float] = []
    watch = tf.keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs=None: ended.append(time.perf_counter())  # noqa: ARG005
    )
    done = model.fit(data, epochs=EPOCHS, verbose=0, shuffle=False, callbacks=[watch], **more)
    steps = len(ended) // EPOCHS
    epochs = [ended[first : first + steps] for first in range(0, len(ended), steps)]
    speed = (steps - 1) * BATCH / min(epoch[-1] - epoch[0] for epoch in epochs)
    return Training(list(done.history["loss"]), numbers(model), speed)


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
def alone(logical_cpus: List[str], arrays: Arrays) -> Training:
    """Train on one device fed by tf.data."""
    import tensorflow as tf

    with tf.device(logical_cpus[0]):
        found = train(compiled_model(), batches(arrays))
    assert found.losses[-1] < found.losses[0], f"one device doesn't learn: {found.losses}"
    return found


@pytest.fixture(scope="session")
def model_on_both(strategy: Any) -> Any:
    with strategy.scope():
        return compiled_model()


@pytest.fixture(scope="session")
def both(model_on_both: Any, arrays: Arrays) -> Training:
    """Train on both devices fed by tf.data."""
    return train(model_on_both, batches(arrays))


Check = Callable[[Training], None]


@pytest.fixture
def check(alone: Training, both: Training, measure: Measure) -> Check:
    """Return a function that compares weights with those of one device, and records the speeds."""

    def compare(found: Training) -> None:
        apart = float(np.abs(found.weights - alone.weights).max())
        measure("largest_difference_of_a_weight", apart)
        assert apart < 1e-4, f"a weight differs by {apart} from the training on one device"
        measure("images_per_second_between_steps", round(found.speed))
        measure("images_per_second_between_steps_of_tf_data", round(both.speed))
        measure("images_per_second_between_steps_of_tf_data_on_one_device", round(alone.speed))

    return compare


Trained = Callable[..., None]


@pytest.fixture
def trained(strategy: Any, check: Check) -> Trained:
    """Train a new model on both devices with the data given, and check it."""

    def train_and_check(data: Any, **more: Any) -> None:
        with strategy.scope():
            model = compiled_model()
        check(train(model, data, **more))

    return train_and_check


@pytest.mark.capability("distribution.tf-data")
def test_tf_data(both: Training, check: Check) -> None:
    check(both)


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
@pytest.mark.usefixtures("both")
def test_replicas_agree(strategy: Any, model_on_both: Any) -> None:
    for weight in model_on_both.trainable_variables:
        variable = weight if callable(weight.value) else weight.value  # Keras 2 and 3
        first, second = (np.asarray(copy) for copy in strategy.experimental_local_results(variable))
        apart = float(np.abs(first - second).max())
        assert apart == 0, f"a weight differs by {apart} from one replica to the other"


@pytest.mark.capability("distribution.reported-loss")
def test_reported_loss(alone: Training, both: Training) -> None:
    assert np.allclose(both.losses, alone.losses, rtol=1e-3), (
        f"loss {both.losses} on two devices, {alone.losses} on one"
    )


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
    """Return the sum of all pixels that the replicas see."""
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
