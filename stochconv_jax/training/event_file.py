"""The files that TensorBoard reads: records, each of which holds an event.

tensorboardX writes them as well, and imports PyTorch, where that is installed, at each program's
start.
"""

import struct

# CRC-32C's polynomial, its bits in the order in which they are shifted out (RFC 3720, B.4).
POLYNOMIAL = 0x82F63B78
# What a file begins with.
VERSION = "brain.Event:2"


def version_record(seconds: float) -> bytes:
    """Returns a file's first record; `seconds` are those since the epoch of Unix."""
    return _record(_event(seconds, 0) + _field(3, VERSION.encode()))


def scalar_record(name: str, value: float, step: int, seconds: float) -> bytes:
    """Returns the record of one value, which TensorBoard shows under `name` at `step`.

    Source: tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto.
    """
    scalar = _field(1, name.encode()) + b"\x15" + struct.pack("<f", value)
    return _record(_event(seconds, step) + _field(5, _field(1, scalar)))


def masked_crc32c(content: bytes) -> int:
    """Returns the checksum of a part of a record: CRC-32C, rotated and moved by a constant.

    Source: tensorflow/core/lib/hash/crc32c.h.
    """
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ POLYNOMIAL * (crc & 1)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _record(content: bytes) -> bytes:
    """Length, its checksum, content, its checksum (tensorflow/core/lib/io/record_writer.h)."""
    length = struct.pack("<Q", len(content))
    checksums = (struct.pack("<I", masked_crc32c(part)) for part in (length, content))
    return length + next(checksums) + content + next(checksums)


def _event(seconds: float, step: int) -> bytes:
    return b"\x09" + struct.pack("<d", seconds) + b"\x10" + _varint(step)


def _field(number: int, content: bytes) -> bytes:
    """A field of protocol buffers that has a length: a text, or another message."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """An integer of protocol buffers: seven bits a byte, the lowest first."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(number & 0x7F)
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])
