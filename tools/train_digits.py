"""Train the small digits classifier that ships as ``models/digits_cnn.onnx``.

Run from the project's root: ``python tools/train_digits.py``. Takes about half a minute on one core
and gives the same weights every time with the same versions. It writes the model with its
BatchNormalization left in (so that optimising it shows), a sidecar with its accuracy as onnxruntime
measures it, and the held-out images.
"""

from __future__ import annotations

import hashlib
import json
import platform
import warnings
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

MODELS = Path(__file__).resolve().parent.parent / "models"
SEED = 20
TEST_FRACTION = 0.4
OPSET = 17


@dataclass(frozen=True)
class Split:
    """Images ``[n, 1, 8, 8]`` of 0 to 16 and labels ``[n]``, for training and held out."""

    train_images: npt.NDArray[np.float32]
    train_labels: npt.NDArray[np.int64]
    test_images: npt.NDArray[np.float32]
    test_labels: npt.NDArray[np.int64]


def load_split() -> Split:
    """The handwritten digits of scikit-learn, split by a fixed seed, classes in proportion."""
    digits = load_digits()
    images = digits.images.astype(np.float32)[:, None]
    labels = digits.target.astype(np.int64)
    parts = train_test_split(
        images, labels, test_size=TEST_FRACTION, random_state=SEED, stratify=labels
    )
    return Split(parts[0], parts[2], parts[1], parts[3])


class Residual(nn.Module):
    """Two normalised convolutions around a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.second_norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(self.second_norm(self.second(y)) + x)


class DigitsNet(nn.Module):
    """Scaling of the pixels, stem, residual block, depthwise-separable block, linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU())
        self.residual = Residual(32)
        self.separable = nn.Sequential(
            nn.Conv2d(32, 32, 3, stride=2, padding=1, groups=32, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 64, 1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        )
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(64 * 2 * 2, 10)

    def forward(self, images: Tensor) -> Tensor:
        x = (images / 16.0 - 0.3) * 2.0
        x = self.pool(self.separable(self.residual(self.stem(x))))
        logits: Tensor = self.head(self.dropout(x.reshape(x.size(0), -1)))
        return logits


def train(split: Split, epochs: int) -> DigitsNet:
    """Train with small shifts as augmentation and a cosine schedule.

    Args:
        split: The data.
        epochs: Passes over the training images.

    Returns:
        The network, in evaluation mode.
    """
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # sums in one order, so that every run gives the same weights
    net = DigitsNet()
    images, labels = torch.from_numpy(split.train_images), torch.from_numpy(split.train_labels)
    optimizer = torch.optim.AdamW(net.parameters(), lr=4e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(len(images)), 64):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(_shifted(images[batch])), labels[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()
    return net.eval()


def _shifted(images: Tensor) -> Tensor:
    """The images, moved by up to one pixel in each direction."""
    dy, dx = torch.randint(0, 3, (2,)).tolist()
    padded = nn.functional.pad(images, (1, 1, 1, 1))
    return padded[..., dy : dy + 8, dx : dx + 8]


def export(net: DigitsNet, path: Path) -> None:
    """Export with a free batch and BatchNormalization left in."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            net,
            (torch.zeros(2, 1, 8, 8),),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
            input_names=["images"],
            output_names=["logits"],
            dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
        )


def accuracy(path: Path, split: Split) -> float:
    """Share of held-out images that onnxruntime classifies rightly."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"images": split.test_images})
    return float((logits.argmax(1) == split.test_labels).mean())


def sidecar(path: Path, split: Split, epochs: int) -> dict[str, Any]:
    """What is known about the trained model."""
    versions = {p: metadata.version(p) for p in ("torch", "onnxruntime", "scikit-learn", "numpy")}
    return {
        "model": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "task": "handwritten digits, 8x8 pixels of 0 to 16, ten classes",
        "data": "scikit-learn load_digits (UCI optical recognition of handwritten digits)",
        "split": {
            "held_out_fraction": TEST_FRACTION,
            "seed": SEED,
            "train": len(split.train_labels),
            "test": len(split.test_labels),
        },
        "test_data": "digits_test.npz (images uint8 [n, 1, 8, 8], labels uint8 [n])",
        "test_accuracy": accuracy(path, split),
        "epochs": epochs,
        "opset": OPSET,
        "versions": {"python": platform.python_version(), **versions},
    }


@click.command()
@click.option("--epochs", default=40, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=MODELS, show_default=True)
def main(epochs: int, output: Path) -> None:
    """Train, export, measure, and write the three files to the folder OUTPUT."""
    split = load_split()
    path = output / "digits_cnn.onnx"
    export(train(split, epochs), path)
    np.savez_compressed(
        output / "digits_test.npz",
        images=split.test_images.astype(np.uint8),
        labels=split.test_labels.astype(np.uint8),
    )
    facts = sidecar(path, split, epochs)
    (output / "digits_cnn.json").write_text(json.dumps(facts, indent=2) + "\n")
    click.echo(f"{path}: {path.stat().st_size:,} bytes, accuracy {facts['test_accuracy']:.4f}")


if __name__ == "__main__":
    main()
