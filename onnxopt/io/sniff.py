"""What a file that is not an ONNX model seems to be, to say so in the error."""

from __future__ import annotations

_EXPORT = "export it to ONNX first, for instance with torch.onnx.export"

# Beginning of the file -> what it is.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "it is a Git LFS pointer; fetch the file with 'git lfs pull'"),
    (b"\x89PNG", "it is a PNG image"),
    (b"\xff\xd8\xff", "it is a JPEG image"),
    (b"%PDF", "it is a PDF document"),
    (b"GGUF", "it is a GGUF model; export the original model to ONNX instead"),
    (b"\x89HDF", "it is an HDF5 file, such as a Keras model; convert it to ONNX first (tf2onnx)"),
    (b"\x1f\x8b", "it is a gzip archive; unpack it first"),
    (b"BZh", "it is a bzip2 archive; unpack it first"),
    (b"\xfd7zXZ", "it is an xz archive; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "it is a zstd archive; unpack it first"),
    (b"\x7fELF", "it is a program or library"),
    (b"<!DOCTYPE", "it is a web page; the download of the model went wrong"),
    (b"<html", "it is a web page; the download of the model went wrong"),
)


def guess(head: bytes) -> str:
    """Say what a file is that could not be read as an ONNX model.

    Args:
        head: The first bytes of the file; a few hundred suffice.

    Returns:
        A clause with a remedy where there is one.
    """
    for magic, meaning in _MAGIC:
        if head.startswith(magic):
            return meaning
    if head.startswith(b"PK\x03\x04"):
        if b"data.pkl" in head or b"/version" in head or b"constants.pkl" in head:
            return f"this looks like a PyTorch checkpoint; {_EXPORT}"
        return "it is a zip archive; unpack it first"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return f"this looks like a PyTorch checkpoint or another Python pickle; {_EXPORT}"
    if head[4:8] == b"TFL3":
        return "it is a TensorFlow Lite model; convert it to ONNX first (tf2onnx)"
    if head[4:8] == b"ORTM":
        return "it is in ONNX Runtime's own format (.ort); use the .onnx file it was made from"
    if head[8:9] == b"{" and b'"dtype"' in head:
        return f"it is a safetensors file, which has weights but no graph; {_EXPORT}"
    if head and all(byte in b"\t\n\r\f" or 32 <= byte < 127 for byte in head):
        return "it is a text file"
    return "it is damaged, truncated, or not an ONNX file at all"
