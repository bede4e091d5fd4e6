"""Objects of an S3 server: without tensorflow-io, with it, and over plain HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from typing import Any, Iterator

import pytest

LINES = ["first", "second", "third"]


def url(key: str) -> str:
    return f"s3://{os.environ['METALOCK_S3_BUCKET']}/{key}"


def http(key: str) -> str:
    return f"{os.environ['METALOCK_S3_ENDPOINT']}/{os.environ['METALOCK_S3_BUCKET']}/{key}"


def texts(dataset: Any) -> Any:
    return [line.decode() for line in dataset.as_numpy_iterator()]


# The order counts: what tensorflow_io registers at its import stays for the whole process.


@pytest.mark.capability("s3.tensorflow-alone")
def test_tensorflow_alone() -> None:
    import tensorflow as tf

    assert tf.io.gfile.GFile(url("lines.txt")).read().splitlines() == LINES, "the object reads otherwise"


@pytest.mark.capability("s3.tf-data-alone")
def test_tf_data_alone() -> None:
    import tensorflow as tf

    assert texts(tf.data.TextLineDataset(url("lines.txt"))) == LINES, "the object reads otherwise"


@pytest.mark.capability("s3.http")
def test_http() -> None:
    import tensorflow as tf

    def lines(key: bytes) -> Iterator[bytes]:
        with urllib.request.urlopen(http(key.decode())) as answer:  # noqa: S310 - on loopback
            yield from answer.read().splitlines()

    signature = tf.TensorSpec((), tf.string)
    dataset = tf.data.Dataset.from_generator(lines, args=("lines.txt",), output_signature=signature)
    assert texts(dataset) == LINES, "the object reads otherwise"


@pytest.mark.capability("s3.gfile")
def test_gfile() -> None:
    import tensorflow as tf
    import tensorflow_io  # noqa: F401

    with tf.io.gfile.GFile(url("lines.txt")) as file:
        assert file.read().splitlines() == LINES, "the object reads otherwise"
    size = tf.io.gfile.stat(url("lines.txt")).length
    assert size == len("\n".join(LINES)) + 1, f"stat says {size} bytes"


@pytest.mark.capability("s3.tf-data")
def test_tf_data() -> None:
    import tensorflow as tf
    import tensorflow_io  # noqa: F401

    assert texts(tf.data.TextLineDataset(url("lines.txt"))) == LINES, "the object reads otherwise"
    several = tf.data.TextLineDataset([url("parts/0.csv"), url("parts/1.csv")])
    assert texts(several) == ["0,zero", "1,one", "2,two", "3,three"], f"the parts read {texts(several)}"


@pytest.mark.capability("s3.listing")
def test_listing() -> None:
    import tensorflow as tf
    import tensorflow_io  # noqa: F401

    found = sorted(tf.io.gfile.listdir(url("parts")))
    assert found == ["0.csv", "1.csv"], f"listdir gives {found}"
    matched = sorted(tf.io.gfile.glob(url("parts/*.csv")))
    assert matched == [url("parts/0.csv"), url("parts/1.csv")], f"glob gives {matched}"
    listed = sorted(texts(tf.data.Dataset.list_files(url("parts/*.csv"), shuffle=False)))
    assert listed == matched, f"list_files gives {listed}"


@pytest.mark.capability("s3.tfrecord")
def test_tfrecord() -> None:
    import tensorflow as tf
    import tensorflow_io  # noqa: F401

    records = [bytes([number]) * 1000 for number in range(20)]
    with tf.io.TFRecordWriter(url("written.tfrecord")) as writer:
        for record in records:
            writer.write(record)
    read = list(tf.data.TFRecordDataset(url("written.tfrecord")).as_numpy_iterator())
    assert read == records, f"{len(read)} records came back, and not those written"
    size = tf.io.gfile.stat(url("written.tfrecord")).length
    assert size == 20 * (1000 + 16), f"the server has {size} bytes of it"


@pytest.mark.capability("s3.missing-object")
def test_missing_object() -> None:
    import tensorflow as tf
    import tensorflow_io  # noqa: F401

    assert not tf.io.gfile.exists(url("nothing.txt")), "an object that isn't there exists"
    with pytest.raises(tf.errors.NotFoundError):
        tf.io.gfile.GFile(url("nothing.txt")).read()


READ_AND_END = """
import sys, tensorflow_io, tensorflow as tf
(line, *_) = tf.data.TextLineDataset(sys.argv[1]).as_numpy_iterator()
assert line == b"first", line
"""


@pytest.mark.capability("s3.exit")
def test_exit() -> None:
    command = [sys.executable, "-c", READ_AND_END, url("lines.txt")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    last = done.stdout.decode("utf-8", "replace").strip().splitlines()[-2:]
    assert done.returncode == 0, f"the process ends with code {done.returncode}: {' / '.join(last)}"
