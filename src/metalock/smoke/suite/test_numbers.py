"""Numbers are right: each operation on each device, eagerly and in a graph, against float64 NumPy."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List

import numpy as np
import pytest
import reference
from comparison import Run, compare
from suite_fixtures import Measure

DEVICES = pytest.mark.parametrize("device", ["cpu", "gpu"])
Agree = Callable[..., None]


def normal(*shape: int, seed: int = 0) -> Any:
    """Return numbers of a normal distribution, the same every time."""
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)


@pytest.fixture(autouse=True)
def precise() -> Iterator[None]:
    """Disable the rounding to 10 bits that NVIDIA's GPUs do in a matrix product by default."""
    import tensorflow as tf

    config = tf.config.experimental
    before = config.tensor_float_32_execution_enabled()
    config.enable_tensor_float_32_execution(enabled=False)
    yield
    config.enable_tensor_float_32_execution(enabled=before)


@pytest.fixture
def agree(device: str, device_name: str, measure: Measure) -> Iterator[Agree]:
    """Compute eagerly and in a graph, compare both, and report the errors of both at once."""
    import tensorflow as tf

    largest: Dict[str, float] = {}
    places: List[str] = []

    def check(
        what: str,
        make: Callable[..., Any],
        *inputs: Any,
        expected: Any,
        dtype: str = "float32",
        depth: int = 8,
    ) -> None:
        def on_device(*tensors: Any) -> Any:
            with tf.device(device_name):
                return make(*tensors)

        wrong: List[str] = []
        for mode, call in (("eager", on_device), ("graph", tf.function(on_device, jit_compile=False))):
            with tf.device(device_name):
                tensors = [tf.constant(value) for value in inputs]
            run = Run(what, device, mode, dtype=dtype, depth=depth)
            found = call(*tensors)
            if mode == "eager":
                places.append(str(getattr(found, "backing_device", "")))
            try:
                error = compare(run, found, expected)
            except AssertionError as failure:
                wrong.append(str(failure))
            else:
                largest[mode] = max(largest.get(mode, 0.0), error)
        assert not wrong, "; ".join(wrong)

    yield check
    for mode, error in largest.items():
        measure(f"{mode}_largest_error", error)
    if device == "gpu" and places and not any("GPU" in place for place in places):
        pytest.skip("TensorFlow computed all of it on the CPU: there is no kernel for this GPU")


@pytest.mark.capability("numbers.matmul")
@DEVICES
def test_matmul(agree: Agree) -> None:
    import tensorflow as tf

    a, b = normal(24, 64), normal(64, 40, seed=1)
    agree("matmul", tf.matmul, a, b, expected=a.astype(float) @ b, depth=64)
    batches = normal(3, 8, 16), normal(3, 16, 8, seed=1)
    agree("batched matmul", tf.matmul, *batches, expected=batches[0].astype(float) @ batches[1], depth=16)
    agree(
        "einsum",
        lambda x, y: tf.einsum("ij,kj->ik", x, y),
        a,
        a[:5],
        expected=a.astype(float) @ a[:5].T,
        depth=64,
    )


@pytest.mark.capability("numbers.half-precision")
@DEVICES
def test_half_precision(agree: Agree) -> None:
    import tensorflow as tf

    a, b = (value.astype(np.float16) for value in (normal(24, 64), normal(64, 40, seed=1)))
    agree("matmul", tf.matmul, a, b, expected=a.astype(float) @ b, dtype="float16", depth=1)
    brain = [tf.cast(value, tf.bfloat16) for value in (a, b)]
    exact = [tf.cast(value, tf.float64).numpy() for value in brain]
    agree("bfloat16 matmul", tf.matmul, *brain, expected=exact[0] @ exact[1], dtype="bfloat16", depth=1)


@pytest.mark.capability("numbers.dense-relu")
@DEVICES
def test_dense_relu(agree: Agree) -> None:
    import tensorflow as tf

    x, kernel, bias = normal(16, 32), normal(32, 24, seed=1), normal(24, seed=2)
    expected = reference.dense_relu(x.astype(float), kernel, bias)
    assert (expected == 0).mean() > 0.3, "nothing to clip"

    def by_operations(x: Any, kernel: Any, bias: Any) -> Any:
        return tf.nn.relu(tf.nn.bias_add(tf.matmul(x, kernel), bias))

    agree("relu of a dense layer", by_operations, x, kernel, bias, expected=expected, depth=32)
    layer = tf.keras.layers.Dense(24, activation="relu")
    layer.build((None, 32))
    layer.set_weights([kernel, bias])
    agree("Dense with relu", layer, x, expected=expected, depth=32)
    agree("relu", tf.nn.relu, kernel, expected=np.maximum(kernel, 0))


@pytest.mark.capability("numbers.dense-relu-predict")
@DEVICES
def test_dense_relu_predict(device: str, device_name: str) -> None:
    import tensorflow as tf

    x, kernel, bias = normal(16, 32), normal(32, 24, seed=1), normal(24, seed=2)
    with tf.device(device_name):
        model = tf.keras.Sequential([tf.keras.layers.Dense(24, activation="relu")])
        model.build((None, 32))
        model.set_weights([kernel, bias])
        found = model.predict(x, verbose=0)
    expected = reference.dense_relu(x.astype(float), kernel, bias)
    compare(Run("Dense with relu", device, "predict", depth=32), found, expected)


@pytest.mark.capability("numbers.convolution-batch-normalisation")
@DEVICES
def test_convolution(agree: Agree) -> None:
    import tensorflow as tf

    image, kernel = normal(2, 8, 8, 3), normal(3, 3, 3, 4, seed=1)
    scale, shift = normal(4, seed=2), normal(4, seed=3)
    convolved = reference.convolution(image.astype(float), kernel)
    agree(
        "convolution",
        lambda image, kernel: tf.nn.conv2d(image, kernel, strides=1, padding="SAME"),
        image,
        kernel,
        expected=convolved,
        depth=27,
    )
    layer = tf.keras.layers.BatchNormalization(epsilon=1e-3)
    layer.build((None, 8, 8, 4))
    layer.set_weights([scale, shift, np.zeros(4), np.ones(4)])

    def block(image: Any, kernel: Any) -> Any:
        convolved = tf.nn.conv2d(image, kernel, strides=1, padding="SAME")
        return tf.nn.max_pool2d(tf.nn.relu(layer(convolved, training=True)), 2, 2, "VALID")

    normalised = reference.normalise(convolved, scale, shift, 1e-3)
    expected = reference.max_pool(reference.relu(normalised))
    agree("convolution, batch normalisation, relu, pool", block, image, kernel, expected=expected, depth=128)


@pytest.mark.capability("numbers.lstm")
@DEVICES
def test_lstm(agree: Agree) -> None:
    import tensorflow as tf

    x = normal(3, 6, 5)
    weights = [normal(5, 16, seed=1), normal(4, 16, seed=2), normal(16, seed=3)]
    layer = tf.keras.layers.LSTM(4)
    layer.build((None, 6, 5))
    layer.set_weights(weights)
    agree("LSTM", layer, x, expected=reference.lstm(x.astype(float), *weights), depth=60)


@pytest.mark.capability("numbers.cross-entropy")
@DEVICES
def test_cross_entropy(agree: Agree) -> None:
    import tensorflow as tf

    logits, labels = 5 * normal(12, 7), np.arange(12) % 7
    of = tf.nn.sparse_softmax_cross_entropy_with_logits

    def gradient(logits: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = tf.reduce_mean(of(labels=labels, logits=logits))
        return tape.gradient(loss, logits)

    exact = logits.astype(float)
    agree("softmax", tf.nn.softmax, logits, expected=reference.softmax(exact))
    agree(
        "softmax cross-entropy",
        lambda logits, labels: of(labels=labels, logits=logits),
        logits,
        labels,
        expected=reference.cross_entropy(exact, labels),
    )
    expected = reference.cross_entropy_gradient(exact, labels)
    agree("gradient of the cross-entropy", gradient, logits, labels, expected=expected)


@pytest.mark.capability("numbers.integers")
@DEVICES
def test_integers(agree: Agree) -> None:
    import tensorflow as tf

    for dtype in ("int32", "int64"):
        a = np.array([7, -7, 2**24 + 1, -(2**24) - 1, 0, 123456789], dtype)
        b = np.array([3, 3, 2, 5, -9, -1000], dtype)
        agree(f"{dtype} sum", tf.add, a, b, expected=a + b, dtype=dtype)
        agree(f"{dtype} product", tf.multiply, a // 1000, b, expected=a // 1000 * b, dtype=dtype)
        agree(f"{dtype} quotient", tf.math.floordiv, a, b, expected=a // b, dtype=dtype)
        agree(f"{dtype} rest", tf.math.floormod, a, b, expected=a % b, dtype=dtype)
        agree(f"{dtype} total", tf.reduce_sum, a, expected=a.sum(), dtype=dtype)
        agree(f"{dtype} comparison", tf.less, a, b, expected=a < b, dtype="bool")
        agree(
            f"{dtype} as float32",
            lambda x: tf.cast(x, tf.float32),
            a,
            expected=a.astype(np.float32),
        )


@pytest.mark.capability("numbers.stateless-uniform")
@DEVICES
def test_stateless_uniform(agree: Agree) -> None:
    import tensorflow as tf

    agree(
        "stateless uniform numbers",
        lambda seed: tf.random.stateless_uniform([10], seed, alg="philox"),
        np.array([7, 11]),
        expected=reference.stateless_uniform((7, 11), 10),
    )


@pytest.mark.capability("numbers.stateless-integers")
@DEVICES
def test_stateless_integers(agree: Agree) -> None:
    import tensorflow as tf

    def draw(seed: Any) -> Any:
        return tf.random.stateless_uniform([10], seed, -50, 1000, dtype=tf.int32, alg="philox")

    expected = reference.stateless_integers((7, 11), 10, -50, 1000)
    agree("stateless whole numbers", draw, np.array([7, 11]), expected=expected, dtype="int32")


@pytest.mark.capability("numbers.random-draws-differ")
@DEVICES
def test_random_draws_differ(device_name: str) -> None:
    import tensorflow as tf

    def draw() -> Any:
        with tf.device(device_name):
            return tf.random.uniform([1000])

    for call in (draw, tf.function(draw, jit_compile=False)):
        first, second = call().numpy(), call().numpy()
        assert (first != second).mean() > 0.9, "two draws are the same"
        for values in (first, second):
            assert 0 <= values.min() < 0.1, f"smallest {values.min()}"
            assert 0.9 < values.max() < 1, f"largest {values.max()}"
            assert abs(values.mean() - 0.5) < 0.05, f"mean {values.mean()}"  # five deviations


@pytest.mark.capability("numbers.gather-scatter")
@DEVICES
def test_gather_scatter(agree: Agree) -> None:
    import tensorflow as tf

    table, rows = normal(9, 4), np.array([8, 0, 3, 3, 5])
    updates = normal(5, 4, seed=1)
    agree("gather", tf.gather, table, rows, expected=table[rows])
    pairs = np.array([[8, 3], [0, 0], [3, 1]])
    agree("gather_nd", tf.gather_nd, table, pairs, expected=table[pairs[:, 0], pairs[:, 1]])
    scattered = reference.scatter_add((9, 4), rows, updates)
    agree(
        "scatter_nd",
        lambda rows, updates: tf.scatter_nd(rows[:, None], updates, [9, 4]),
        rows,
        updates,
        expected=scattered,
    )
    agree(
        "tensor_scatter_nd_add",
        lambda table, rows, updates: tf.tensor_scatter_nd_add(table, rows[:, None], updates),
        table,
        rows,
        updates,
        expected=table + scattered,
    )
    agree(
        "unsorted_segment_sum",
        lambda updates, rows: tf.math.unsorted_segment_sum(updates, rows, 9),
        updates,
        rows,
        expected=scattered,
    )
    agree(
        "where", lambda x: tf.where(x > 0, x, -2 * x), table, expected=np.where(table > 0, table, -2 * table)
    )


@pytest.mark.capability("numbers.reductions")
@DEVICES
def test_reductions(agree: Agree) -> None:
    import tensorflow as tf

    x = normal(6, 33)
    exact = x.astype(float)
    sums = {
        "sum": (tf.reduce_sum, exact.sum(axis=1)),
        "mean": (tf.reduce_mean, exact.mean(axis=1)),
        "largest": (tf.reduce_max, exact.max(axis=1)),
        "smallest": (tf.reduce_min, exact.min(axis=1)),
        "deviation": (tf.math.reduce_std, exact.std(axis=1)),
        "logarithm of the sum of exponentials": (tf.reduce_logsumexp, np.log(np.exp(exact).sum(axis=1))),
    }
    for name, (reduce, expected) in sums.items():
        agree(name, lambda x, reduce=reduce: reduce(x, axis=1), x, expected=expected, depth=33)
    agree("sum of all", tf.reduce_sum, x, expected=exact.sum(), depth=x.size)
    agree(
        "index of the largest",
        lambda x: tf.argmax(x, axis=1),
        x,
        expected=exact.argmax(axis=1),
        dtype="int64",
    )
    agree("any", lambda x: tf.reduce_any(x > 2, axis=1), x, expected=(exact > 2).any(axis=1), dtype="bool")


@pytest.mark.capability("numbers.sort-cumulative")
@DEVICES
def test_sort_cumulative(agree: Agree) -> None:
    import tensorflow as tf

    x = normal(4, 17)
    agree("sort", tf.sort, x, expected=np.sort(x))
    agree("argsort", tf.argsort, x, expected=np.argsort(x), dtype="int32")
    agree("top_k values", lambda x: tf.math.top_k(x, 5)[0], x, expected=-np.sort(-x)[:, :5])
    agree("top_k indices", lambda x: tf.math.top_k(x, 5)[1], x, expected=np.argsort(-x)[:, :5], dtype="int32")
    agree("cumsum", lambda x: tf.cumsum(x, 1), x, expected=np.cumsum(x.astype(float), 1), depth=17)
    agree("cumprod", lambda x: tf.math.cumprod(x, 1), x, expected=np.cumprod(x.astype(float), 1), depth=17)


def check_optimizer(kind: str, make: Callable[[Any], Any], device: str, device_name: str) -> float:
    """Check three steps with the optimizer, eagerly and in a graph."""
    import tensorflow as tf

    start = normal(5, 3)
    gradients = [normal(5, 3, seed=seed) for seed in (1, 2, 3)]
    expected = reference.optimizer_steps(
        kind, start.astype(float), [g.astype(float) for g in gradients], 0.05
    )
    largest = 0.0
    for mode in ("eager", "graph"):
        with tf.device(device_name):
            weights, optimizer = tf.Variable(start), make(tf.keras.optimizers)

            def step(gradient: Any, weights: Any = weights, optimizer: Any = optimizer) -> None:
                optimizer.apply_gradients([(gradient, weights)])

            call = step if mode == "eager" else tf.function(step, jit_compile=False)
            for gradient in gradients:
                call(tf.constant(gradient))
        run = Run(kind, device, mode)
        largest = max(largest, compare(run, weights.numpy(), expected))
    return largest


@pytest.mark.capability("numbers.optimizers")
@DEVICES
def test_optimizers(device: str, device_name: str, measure: Measure) -> None:
    makers: Dict[str, Callable[[Any], Any]] = {
        "SGD": lambda module: module.SGD(0.05),
        "Momentum": lambda module: module.SGD(0.05, momentum=0.9),
        "Adagrad": lambda module: module.Adagrad(0.05),
        "RMSprop": lambda module: module.RMSprop(0.05),
        "Adam": lambda module: module.Adam(0.05),
        "Adamax": lambda module: module.Adamax(0.05),
    }
    largest = [check_optimizer(kind, make, device, device_name) for kind, make in makers.items()]
    measure("largest_error", max(largest))


@pytest.mark.capability("numbers.adamw")
@DEVICES
def test_adamw(device: str, device_name: str, measure: Measure) -> None:
    largest = check_optimizer(
        "AdamW", lambda module: module.AdamW(0.05, weight_decay=0.1), device, device_name
    )
    measure("largest_error", largest)


@pytest.mark.capability("numbers.adamw-experimental")
@DEVICES
def test_adamw_experimental(device: str, device_name: str, measure: Measure) -> None:
    largest = check_optimizer(
        "AdamW", lambda module: module.experimental.AdamW(0.05, weight_decay=0.1), device, device_name
    )
    measure("largest_error", largest)


@pytest.mark.capability("numbers.nadam")
@DEVICES
def test_nadam(device: str, device_name: str, measure: Measure) -> None:
    largest = check_optimizer("Nadam", lambda module: module.Nadam(0.05), device, device_name)
    measure("largest_error", largest)


def check_training(device: str, device_name: str, *, eagerly: bool) -> Dict[str, float]:
    """Check the loss of each of twenty epochs of one batch, and that it falls."""
    import tensorflow as tf

    x = normal(32, 6)
    y = np.abs(x[:, :1]) - x[:, 1:2] / 2
    start = {
        "kernel1": 0.5 * normal(6, 12, seed=1),
        "bias1": 0.1 * normal(12, seed=2),
        "kernel2": 0.5 * normal(12, 1, seed=3),
        "bias2": np.zeros(1, np.float32),
    }
    expected = reference.train_network(start, x.astype(float), y.astype(float), rate=0.05, steps=20)
    with tf.device(device_name):
        layers = [tf.keras.layers.Dense(12, activation="relu"), tf.keras.layers.Dense(1)]
        model = tf.keras.Sequential(layers)
        model.build((None, 6))
        model.set_weights(list(start.values()))
        model.compile(optimizer=tf.keras.optimizers.SGD(0.05), loss="mse", run_eagerly=eagerly)
        history = model.fit(x, y, batch_size=32, epochs=20, shuffle=False, verbose=0)
    losses = history.history["loss"]
    assert losses[-1] < losses[0] / 2, f"loss on {device} went from {losses[0]:.4g} to {losses[-1]:.4g}"
    run = Run("loss of 20 steps", device, "eager" if eagerly else "graph", depth=32 * 20)
    return {"largest_error": compare(run, np.float32(losses), expected), "last_loss": losses[-1]}


@pytest.mark.capability("numbers.training")
@DEVICES
def test_training(device: str, device_name: str, measure: Measure) -> None:
    for name, value in check_training(device, device_name, eagerly=False).items():
        measure(name, value)


@pytest.mark.capability("numbers.training-eager")
@DEVICES
def test_training_eager(device: str, device_name: str, measure: Measure) -> None:
    for name, value in check_training(device, device_name, eagerly=True).items():
        measure(name, value)


@pytest.mark.capability("numbers.wrong-kernel-is-caught")
def test_wrong_kernel_is_caught(measure: Measure) -> None:
    import tensorflow as tf

    a, b = normal(8, 16), normal(16, 8, seed=1)
    exact = a.astype(float) @ b
    run = Run("matmul", "cpu", "eager", depth=16)
    measure("largest_error", compare(run, tf.matmul(a, b), exact))
    measure("largest_relu_error", compare(run, tf.nn.relu(tf.matmul(a, b)), reference.relu(exact)))
    wrong = {
        "relu that does not clip": (
            tf.identity(tf.matmul(a, b)),
            reference.relu(exact),
            "expected 0, found -",
        ),
        "one value off by 1e-3": (tf.matmul(a, b) + 1e-3 * np.eye(8, dtype=np.float32), exact, "8 of 64"),
        "one part in a thousand": (tf.matmul(a, b) * 1.001, exact, "off by"),
        "NaN": (tf.where(tf.eye(8) > 0, np.nan, tf.matmul(a, b)), exact, "found nan"),
        "infinity": (tf.where(tf.eye(8) > 0, np.inf, tf.matmul(a, b)), exact, "found inf"),
        "transposed": (tf.matmul(b, a, transpose_a=True, transpose_b=True), exact, "wrong"),
        "wrong shape": (tf.matmul(a, b)[:, :7], exact, "expected shape (8, 8), found (8, 7)"),
        "wrong dtype": (tf.cast(tf.matmul(a, b), tf.float64), exact, "expected float32, found float64"),
    }
    for name, (found, expected, message) in wrong.items():
        with pytest.raises(AssertionError) as caught:
            compare(run, found, expected)
        assert message in str(caught.value), f"{name}: {caught.value}"
    whole = Run("sum", "cpu", "eager", dtype="int32")
    with pytest.raises(AssertionError, match="off by 1 where 0 is allowed"):
        compare(whole, tf.constant([16777216]), [16777217])
