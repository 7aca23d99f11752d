"""A port before it computes anything: the protocol, with one function, in plain Python."""

import json
import struct
import sys


def read(path):
    """The header of a safetensors file, and the bytes after it."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        return header, file.read()


def write(path, metadata, name="", kind="", shape=(), content=b""):
    """A safetensors file of metadata and at most one tensor."""
    header = {"__metadata__": metadata}
    if name:
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [0, len(content)]}
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + content)


for line in sys.stdin:
    weights, request, response = line.rstrip("\n").split("\t")
    header, tensors = read(request)
    given = header["__metadata__"]
    if given["function"] == "describe":
        write(response, {"NAME": "skeleton", "ATTENTION_TYPES": '["divided_space_time"]'})
    elif given["function"] == "segment_indices":
        total, n = int(given["total"]), int(given["num_frames"])
        bounds = [round((total - 1) / n * i) for i in range(n + 1)]
        found = [(bounds[i] + bounds[i + 1]) // 2 for i in range(n)]
        write(response, {}, "output", "I64", [n], struct.pack(f"<{n}q", *found))
    else:
        write(response, {"unsupported": f"no {given['function']} yet"})
    print("done", flush=True)
