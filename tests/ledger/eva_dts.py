"""Reads EVA-DTS data files from standard input, with a zero between them, and prints what they say as a list in JSON.

Knows nothing of kioskd: the segments and the check are as the standard (EVA Data Transfer Standard 6.1) has them.
"""

import json
import sys


def crc(data):
    """CRC-16/ARC by its table: reflected polynomial 8005, beginning with 0."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0xA001 if value & 1 else 0)
        table.append(value)
    result = 0
    for byte in data:
        result = (result >> 8) ^ table[(result ^ byte) & 0xFF]
    return result


def read(raw):
    assert raw.endswith(b"\r\n") and b"\n" not in raw.replace(b"\r\n", b""), "line ends"
    assert crc(b"123456789") == 0xBB3D
    lines = raw.decode("ascii").split("\r\n")[:-1]
    segments = [line.split("*") for line in lines]
    names = [segment[0] for segment in segments]
    assert names[0] == "DXS" and names[1] == "ST" and names[-2:] == ["SE", "DXE"], names
    assert all(not line.endswith("*") and len(line) <= 120 for line in lines), "an empty field at the end, or a long line"
    begin, check = raw.index(b"ST*"), raw.index(b"G85*")
    assert int(segments[names.index("G85")][1], 16) == crc(raw[begin:check]), "the check"
    assert int(segments[names.index("SE")][1]) == names.index("SE") - names.index("ST") + 1, "the count of segments"

    def sums(name, order):
        found = [segment for segment in segments if segment[0] == name]
        assert len(found) == 1, name
        return dict(zip(order, map(int, found[0][1:5])))

    value_first = ["value_init", "number_init", "value_reset", "number_reset"]
    number_first = ["number_init", "value_init", "number_reset", "value_reset"]
    products, at = {}, None
    for name, *fields in segments:
        if name == "PA1":
            at = products.setdefault(fields[0], {"price": int(fields[1]), "name": fields[2]})
            at.update(zip(["capacity", "fill"], map(int, fields[3:5])))
        elif name in ("PA2", "PA3", "PA4"):
            at[{"PA2": "paid", "PA3": "test", "PA4": "free"}[name]] = dict(zip(number_first, map(int, fields)))
        elif name == "PA7":
            assert fields[1] == "DA", "everything is paid without cash"
            at["cashless"] = dict(zip(number_first, map(int, fields[4:8])))
    machine = next(segment for segment in segments if segment[0] == "ID1")
    currency = next(segment for segment in segments if segment[0] == "ID4")
    return {
        "serial": machine[1],
        "asset": machine[6],
        "place": machine[4],
        "currency": currency[1:],
        "paid": sums("VA1", value_first),
        "test": sums("VA2", value_first),
        "free": sums("VA3", value_first),
        "cash": sums("CA2", value_first),
        "cashless": sums("DA2", value_first),
        "products": products,
        "reads": next(segment[1:] for segment in segments if segment[0] == "EA3"),
        "says": next(segment[2] for segment in segments if segment[0] == "MA5"),
    }


json.dump([read(raw) for raw in sys.stdin.buffer.read().split(b"\0")], sys.stdout)
