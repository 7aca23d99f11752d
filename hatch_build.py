"""What the wheel holds of the golden vectors: all but what the project's own tests alone read."""

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

INNER = re.compile(r"out\.(norm|blocks\.\d+\.(\w+_)?attn)")
"""Results of attention and of the last norm by themselves, which no port is asked for."""


class CustomBuildHook(BuildHookInterface):
    """Called by the builder of wheels, which an editable installation needs nothing of."""

    def initialize(self, version, build_data):
        """Put smaller files in the place of the checkout's."""
        if version == "editable":
            return
        self.room = TemporaryDirectory()
        for file in sorted(Path(self.root, "spec_tests/golden").glob("*.safetensors")):
            smaller = Path(self.room.name, file.name)
            smaller.write_bytes(without_inner(file.read_bytes()))
            build_data["force_include"][str(smaller)] = f"spec_tests/golden/{file.name}"


def without_inner(content: bytes) -> bytes:
    """A safetensors file without some of its tensors: a header's length, the header, the data."""
    start = 8 + int.from_bytes(content[:8], "little")
    kept, data = {}, []
    for name, entry in json.loads(content[8:start]).items():
        if name != "__metadata__":
            if INNER.fullmatch(name):
                continue
            begin, end = (start + offset for offset in entry["data_offsets"])
            here = sum(map(len, data))
            data.append(content[begin:end])
            entry["data_offsets"] = [here, here + end - begin]
        kept[name] = entry
    header = json.dumps(kept, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + b"".join(data)
