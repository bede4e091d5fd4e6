"""The same computations in NumPy, from the formulas, slow and plain: float64, or exact whole numbers."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Tuple

import numpy as np

Array = Any  # np.ndarray, which cannot be subscripted on Python 3.8


def relu(x: Array) -> Array:
    return np.maximum(x, 0.0)


def sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


def dense_relu(x: Array, kernel: Array, bias: Array) -> Array:
    return relu(x @ kernel + bias)


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def cross_entropy(logits: Array, labels: Array) -> Array:
    """Return the cross entropy of whole-number labels."""
    return -np.log(softmax(logits)[np.arange(len(labels)), labels])


def cross_entropy_gradient(logits: Array, labels: Array) -> Array:
    """Return the gradient of the mean cross entropy."""
    return (softmax(logits) - np.eye(logits.shape[1])[labels]) / len(labels)


def convolution(image: Array, kernel: Array) -> Array:
    """Return the convolution of NHWC with HWIO, with stride 1 and the same size."""
    height, width = kernel.shape[:2]
    above, left = (height - 1) // 2, (width - 1) // 2
    padded = np.pad(image, ((0, 0), (above, height - 1 - above), (left, width - 1 - left), (0, 0)))
    rows, columns = image.shape[1:3]
    return sum(
        padded[:, row : row + rows, column : column + columns] @ kernel[row, column]
        for row in range(height)
        for column in range(width)
    )


def max_pool(image: Array) -> Array:
    """Return the maximum of each 2 by 2 pixels."""
    batch, height, width, channels = image.shape
    return image.reshape(batch, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


def normalise(x: Array, scale: Array, shift: Array, epsilon: float) -> Array:
    """Normalise a batch by its own mean and variance, over all but the last axis."""
    axes = tuple(range(x.ndim - 1))
    mean, variance = x.mean(axis=axes), x.var(axis=axes)
    return (x - mean) / np.sqrt(variance + epsilon) * scale + shift


def lstm(x: Array, kernel: Array, recurrent: Array, bias: Array) -> Array:
    """Return the last output for a batch of sequences; gates in the order input, forget, cell, output."""
    hidden = cell = np.zeros((len(x), recurrent.shape[0]))
    for step in range(x.shape[1]):
        gates = x[:, step] @ kernel + hidden @ recurrent + bias
        opening, forgetting, candidate, output = np.split(gates, 4, axis=1)
        cell = sigmoid(forgetting) * cell + sigmoid(opening) * np.tanh(candidate)
        hidden = sigmoid(output) * np.tanh(cell)
    return hidden


def scatter_add(shape: Tuple[int, ...], indices: Array, updates: Array) -> Array:
    found = np.zeros(shape)
    np.add.at(found, indices, updates)
    return found


def philox(counter: List[int], key: List[int]) -> List[int]:
    """Compute ten rounds of Philox4x32: four random words of 32 bits."""
    words, (first, second) = list(counter), key
    for _ in range(10):
        low, high = 0xD2511F53 * words[0], 0xCD9E8D57 * words[2]
        words = [(high >> 32) ^ words[1] ^ first, high, (low >> 32) ^ words[3] ^ second, low]
        words = [word & 0xFFFFFFFF for word in words]
        first, second = (first + 0x9E3779B9) & 0xFFFFFFFF, (second + 0xBB67AE85) & 0xFFFFFFFF
    return words


def stateless_words(seed: Tuple[int, int], count: int) -> Array:
    """Return the random words that TensorFlow's stateless functions draw for a seed, in order."""
    mixed = philox([seed[0], 0, seed[1], 0], [0x3EC8F720, 0x02461E29])
    words: List[int] = []
    for block in range(-(-count // 4)):
        words += philox([block, 0, mixed[2], mixed[3]], mixed[:2])
    return np.array(words[:count], np.uint64)


def stateless_uniform(seed: Tuple[int, int], count: int) -> Array:
    """Return numbers between 0 and 1: the lower 23 bits of a word are the fraction."""
    return (stateless_words(seed, count) & np.uint64(0x7FFFFF)).astype(np.float64) / 2.0**23


def stateless_integers(seed: Tuple[int, int], count: int, low: int, high: int) -> Array:
    return low + (stateless_words(seed, count) % np.uint64(high - low)).astype(np.int64)


def optimizer_steps(kind: str, weights: Array, gradients: List[Array], rate: float) -> Array:
    """Return the weights after a step for each gradient, by the published formulas, with Keras's defaults."""
    return {
        "SGD": sgd,
        "Momentum": momentum,
        "Adagrad": adagrad,
        "RMSprop": rmsprop,
        "Adam": adam,
        "AdamW": adamw,
        "Adamax": adamax,
        "Nadam": nadam,
    }[kind](weights, gradients, rate)


def sgd(weights: Array, gradients: List[Array], rate: float) -> Array:
    return weights - rate * sum(gradients)


def momentum(weights: Array, gradients: List[Array], rate: float) -> Array:
    speed = np.zeros_like(weights)
    for gradient in gradients:
        speed = 0.9 * speed - rate * gradient
        weights = weights + speed
    return weights


def adagrad(weights: Array, gradients: List[Array], rate: float) -> Array:
    total = np.full_like(weights, 0.1)
    for gradient in gradients:
        total = total + gradient**2
        weights = weights - rate * gradient / np.sqrt(total + 1e-7)
    return weights


def rmsprop(weights: Array, gradients: List[Array], rate: float) -> Array:
    mean = np.zeros_like(weights)
    for gradient in gradients:
        mean = 0.9 * mean + 0.1 * gradient**2
        weights = weights - rate * gradient / np.sqrt(mean + 1e-7)
    return weights


def _moments(gradients: List[Array]) -> Iterator[Tuple[int, Array, Array, Array]]:
    """Yield step, gradient, and the running means of it and of its square, as in Adam."""
    first = second = np.zeros_like(gradients[0])
    for step, gradient in enumerate(gradients, 1):
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        yield step, gradient, first, second


def adam(weights: Array, gradients: List[Array], rate: float, decay: float = 0.0) -> Array:
    for step, _, first, second in _moments(gradients):
        weights = weights - rate * decay * weights
        change = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-7)
        weights = weights - rate * change
    return weights


def adamw(weights: Array, gradients: List[Array], rate: float) -> Array:
    return adam(weights, gradients, rate, decay=0.1)


def adamax(weights: Array, gradients: List[Array], rate: float) -> Array:
    largest = np.zeros_like(weights)
    for step, gradient, first, _ in _moments(gradients):
        largest = np.maximum(0.999 * largest, np.abs(gradient))
        weights = weights - rate / (1 - 0.9**step) * first / (largest + 1e-7)
    return weights


def nadam(weights: Array, gradients: List[Array], rate: float) -> Array:
    """Compute steps by Dozat's formula: the momentum grows over some 250 steps."""

    def at(step: int) -> float:
        return float(0.9 * (1 - 0.5 * 0.96 ** (step / 250)))

    product = 1.0
    for step, gradient, first, second in _moments(gradients):
        product *= at(step)
        ahead = at(step + 1) * first / (1 - product * at(step + 1))
        mean = ahead + (1 - at(step)) * gradient / (1 - product)
        weights = weights - rate * mean / (np.sqrt(second / (1 - 0.999**step)) + 1e-7)
    return weights


def train_network(start: Dict[str, Array], x: Array, y: Array, *, rate: float, steps: int) -> List[float]:
    """Return the loss before each step of gradient descent: dense with relu, dense, mean squared error."""
    net = {name: value.astype(np.float64) for name, value in start.items()}
    losses = []
    for _ in range(steps):
        before = x @ net["kernel1"] + net["bias1"]
        hidden = relu(before)
        error = hidden @ net["kernel2"] + net["bias2"] - y
        losses.append(float((error**2).mean()))
        back = 2 * error / error.size
        through = (back @ net["kernel2"].T) * (before > 0)
        change = {
            "kernel1": x.T @ through,
            "bias1": through.sum(axis=0),
            "kernel2": hidden.T @ back,
            "bias2": back.sum(axis=0),
        }
        net = {name: value - rate * change[name] for name, value in net.items()}
    return losses
