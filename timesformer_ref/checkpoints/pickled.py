"""Read a pickle as data: plain values, and tensors to be read later. Nothing is ever called."""

import pickletools
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from timesformer_ref.config import shown

MOST_OPCODES = 2_000_000
"""Most instructions of a pickle, read in some 4 s; a training state of ViT-Base has 60,000."""

ALLOWED = re.compile(
    r"""collections\.(OrderedDict|Counter) | (builtins|__builtin__)\.(set|bytearray|complex)
    | _codecs\.encode | torch\.(Size|Tensor|device|bool|[a-z]+\d\w*|per_\w+)
    | torch\.(cuda\.|storage\.)?\w+Storage | torch\.(_utils|_tensor)\._rebuild_\w+
    | torch\.nn\.parameter\.Parameter | torch\.serialization\._get_layout""",
    re.VERBOSE,
)
"""The names in the files of `torch.save`: of tensors, types and plain values."""

DTYPES = {
    "Double": torch.float64, "Float": torch.float32, "Half": torch.float16,
    "BFloat16": torch.bfloat16, "Long": torch.int64, "Int": torch.int32, "Short": torch.int16,
    "Char": torch.int8, "Byte": torch.uint8, "Bool": torch.bool, "Untyped": torch.uint8,
    "ComplexDouble": torch.complex128, "ComplexFloat": torch.complex64, "QInt8": torch.int8,
    "QUInt8": torch.uint8, "QInt32": torch.int32, "QUInt4x2": torch.uint8, "QUInt2x4": torch.uint8,
}  # fmt: skip
"""The type of the numbers in a storage, by the name of its class."""


class Refused(Exception):
    """A file, or a tensor in it, that is not read; says why."""


class Storage(NamedTuple):
    """Numbers that lie one after another in a file, as a pickle claims them."""

    key: str
    dtype: torch.dtype
    numel: int


class Lazy(partial[Tensor]):
    """A tensor in a file: a call reads it, or raises Refused if the file does not hold it."""


class Other:
    """A value that no weights need: a device, a set, a sparse tensor."""


class Unpickler:
    """An interpreter of the opcodes that `torch.save` writes; a name in a pickle stays text.

    find: reads a tensor, given its storage, type, offset, shape, strides, and whether to negate it.
    storages: those that were claimed, by their keys.
    """

    def __init__(self, find: Callable[..., Tensor]) -> None:
        self.find = find
        self.storages: dict[str, Storage] = {}

    def load(self, stream: Any) -> Any:
        """The value of the next pickle in a stream of bytes.

        Raises Refused for one that asks for more than tensors and plain values, and other
        exceptions for one that is damaged.
        """
        stack: list[Any] = []
        marks: list[list[Any]] = []
        memo: dict[Any, Any] = {}
        for count, (opcode, arg, _) in enumerate(pickletools.genops(stream)):
            if count > MOST_OPCODES:
                raise Refused(f"its pickle has more than {MOST_OPCODES:,} instructions")
            match opcode.name:
                case "PROTO" | "FRAME":
                    pass
                case "STOP":
                    return stack.pop()
                case "NONE" | "NEWTRUE" | "NEWFALSE":
                    stack.append({"NEWTRUE": True, "NEWFALSE": False}.get(opcode.name))
                case (
                    "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE"
                    | "SHORT_BINUNICODE" | "SHORT_BINSTRING" | "SHORT_BINBYTES" | "BINBYTES"
                ):  # fmt: skip
                    stack.append(arg)
                case "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                    memo[len(memo) if arg is None else arg] = stack[-1]
                case "BINGET" | "LONG_BINGET":
                    stack.append(memo[arg])
                case "MARK":
                    marks.append(stack)
                    stack = []
                case "TUPLE" | "APPENDS" | "ADDITEMS" | "SETITEMS":
                    items, stack = stack, marks.pop()
                    if opcode.name == "TUPLE":
                        stack.append(tuple(items))
                    elif opcode.name == "SETITEMS":
                        fill(stack[-1], zip(items[::2], items[1::2], strict=True))
                    else:
                        stack[-1].extend(items)
                case "TUPLE1" | "TUPLE2" | "TUPLE3":
                    length = int(opcode.name[-1])
                    stack[-length:] = [tuple(stack[-length:])]
                case "EMPTY_TUPLE":
                    stack.append(())
                case "EMPTY_DICT":
                    stack.append({})
                case "EMPTY_LIST" | "EMPTY_SET":
                    stack.append([])
                case "APPEND":
                    value = stack.pop()
                    stack[-1].append(value)
                case "SETITEM":
                    value, key = stack.pop(), stack.pop()
                    fill(stack[-1], [(key, value)])
                case "GLOBAL":
                    stack.append(_allowed(str(arg).replace(" ", ".")))
                case "STACK_GLOBAL":
                    stack[-2:] = [_allowed(".".join(stack[-2:]))]
                case "REDUCE" | "NEWOBJ":
                    stack[-2:] = [self.call(*stack[-2:])]
                case "BUILD":  # sets attributes, of which a dict's are none of its weights
                    stack.pop()
                    if not isinstance(stack[-1], dict | Other):
                        raise Refused("changes the attributes of a tensor")
                case "BINPERSID":
                    stack[-1] = self.storage(*stack[-1])
                case _:
                    raise Refused(f"has the opcode {opcode.name}, which torch.save does not write")
        return None

    def call(self, name: str, args: Any) -> Any:
        """What a call would return, as data."""
        match name.rpartition(".")[2]:
            case "OrderedDict" | "Counter":
                made: dict[Any, Any] = {}
                for items in args:
                    fill(made, items.items() if isinstance(items, dict) else items)
                return made
            case "Size":
                return tuple(*args)
            case "_rebuild_parameter" | "_rebuild_parameter_with_state" | "Parameter":
                return args[0]
            case "_rebuild_from_type_v2":
                return self.call(args[0], args[2])
            case "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3":
                return self.tensor(*args)
        return Other()

    def storage(
        self, kind: str, of: str, key: str, _: str, numel: int, view: None = None
    ) -> Storage:
        """The storage that a pickle refers to."""
        if kind != "storage" or view is not None or type(numel) is not int or numel < 0:
            raise Refused("refers to something else than the storage of a tensor")
        dtype = DTYPES[of.rpartition(".")[2].removesuffix("Storage")]
        return self.storages.setdefault(key, Storage(key, dtype, numel))

    def tensor(
        self, storage: Storage, offset: int, size: Any, stride: Any, _: Any = 0, __: Any = 0,
        *more: Any
    ) -> Lazy:  # fmt: skip
        """A tensor of its storage's type or of its own; `more` has that, and flags."""
        shape = (offset, *size, *stride)
        possible = all(type(n) is int and 0 <= n < 2**48 for n in shape)
        if not possible or not len(size) == len(stride) <= 8:
            raise Refused("has a tensor of an impossible shape")
        names = [name.removeprefix("torch.") for name in more if type(name) is str]
        dtype = vars(torch)[names[0]] if names else storage.dtype
        if not isinstance(dtype, torch.dtype):
            raise Refused("has a tensor of an unknown type")
        negated = any(flags.get("neg", False) for flags in more if type(flags) is dict)
        return Lazy(self.find, storage, dtype, offset, size, stride, negated)


def fill(target: Any, items: Iterable[tuple[Any, Any]]) -> None:
    """Put items into a dict. Its keys must be plain values and differ."""
    if type(target) is not dict:
        raise Refused("has items of something that is no dict")
    for key, value in items:
        parts = key if type(key) is tuple else (key,)
        if not all(isinstance(part, str | int | float | bytes | None) for part in parts):
            raise Refused("has keys that are no plain values, expected text")
        if key in target:
            raise Refused(f"has the key {shown(key)} twice")
        target[key] = value


def _allowed(name: str) -> str:
    if not ALLOWED.fullmatch(name):
        raise Refused(
            f"holds {name} beside tensors; reading it would run code, so it is refused: save the "
            "state dict alone"
        )
    return name
