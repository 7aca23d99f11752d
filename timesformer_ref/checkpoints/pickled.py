"""Read a pickle as data: plain values, tensors to be read later, and nothing that is called."""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from timesformer_ref.config import shown

MOST_OPCODES = 2_000_000
"""A training state of ViT-Base has 60,000; this many are read in about 5 s."""

DTYPES = {
    f"{name}Storage": getattr(torch, dtype)
    for name, dtype in {
        "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16",
        "Long": "int64", "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8",
        "Bool": "bool", "ComplexDouble": "complex128", "ComplexFloat": "complex64",
        "Untyped": "uint8", "QInt8": "int8", "QUInt8": "uint8", "QInt32": "int32",
        "QUInt4x2": "uint8", "QUInt2x4": "uint8",
    }.items()
}  # fmt: skip
"""The type of the numbers in a storage, by the last part of its class's name."""

_NOT_NEEDED = frozenset(
    {
        "_codecs.encode", "builtins.bytearray", "builtins.complex", "builtins.set", "torch.device",
        "torch.serialization._get_layout",
    }
    | {
        f"torch._utils._rebuild_{kind}"
        for kind in (
            "qtensor", "sparse_tensor", "meta_tensor_no_storage", "nested_tensor",
            "wrapper_subclass", "device_tensor_from_numpy", "device_tensor_from_cpu_tensor",
        )
    }
)  # fmt: skip
"""What makes plain values, and tensors of other kinds, in the files of `torch.save`."""


_CODE = "reading it would run code, so it is refused: save the state dict alone"


class Refused(Exception):
    """A pickle that asks for more than tensors and plain containers; says what."""


class Storage(NamedTuple):
    """Consecutive numbers in a file, by their key there, as a pickle claims them."""

    key: str
    dtype: torch.dtype
    numel: int


@dataclass(frozen=True, eq=False, repr=False)
class Lazy:
    """A tensor in a file. `read` raises Refused where the file does not hold all of it."""

    read: Callable[[], Tensor]


class Name:
    """A class or function that a pickle names; it is never looked up."""

    def __init__(self, name: str) -> None:
        self.name = name


class Other:
    """A value that no checkpoint's weights need, such as a device or a sparse tensor."""


Find = Callable[[Storage, torch.dtype, int, tuple[int, ...], tuple[int, ...], bool], Tensor]
"""Reads a tensor of a storage: its type, offset, shape, strides, and whether it is negated."""


class Unpickler:
    """An interpreter of the opcodes that `torch.save` writes.

    What a pickle calls is answered from a table by its name; a name that is not there is refused.
    `storages` are those that were claimed.
    """

    def __init__(self, find: Find) -> None:
        self.find = find
        self.storages: dict[str, Storage] = {}
        self.calls: dict[str, Callable[..., Any]] = {
            "collections.Counter": mapping,
            "collections.OrderedDict": mapping,
            "torch.Size": tuple,
            "torch._tensor._rebuild_from_type_v2": lambda made_by, _, args, *__: self.call(
                made_by, args
            ),
            "torch._utils._rebuild_parameter": _first,
            "torch._utils._rebuild_parameter_with_state": _first,
            "torch._utils._rebuild_tensor": self.tensor,
            "torch._utils._rebuild_tensor_v2": self.tensor,
            "torch._utils._rebuild_tensor_v3": self.tensor_of_type,
            "torch.nn.parameter.Parameter": _first,
        }

    def load(self, stream: Any) -> Any:
        """The value of the next pickle in a stream of bytes, or in a memory map.

        Raises Refused for one that asks for more, and other exceptions for one that is damaged.
        """
        stack: list[Any] = []
        marks: list[int] = []
        memo: dict[Any, Any] = {}

        def above_mark() -> list[Any]:
            start = marks.pop()
            items = stack[start:]
            del stack[start:]
            return items

        for count, (opcode, arg, _) in enumerate(pickletools.genops(stream)):
            if count > MOST_OPCODES:
                raise Refused(f"its pickle has more than {MOST_OPCODES:,} instructions")
            match opcode.name:
                case "PROTO" | "FRAME":
                    pass
                case "STOP":
                    return stack.pop()
                case "MARK":
                    marks.append(len(stack))
                case "NONE" | "NEWTRUE" | "NEWFALSE":
                    stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[opcode.name])
                case (
                    "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE"
                    | "SHORT_BINUNICODE" | "SHORT_BINSTRING" | "SHORT_BINBYTES" | "BINBYTES"
                ):  # fmt: skip
                    stack.append(arg)
                case "BINPUT" | "LONG_BINPUT":
                    memo[arg] = stack[-1]
                case "MEMOIZE":
                    memo[len(memo)] = stack[-1]
                case "BINGET" | "LONG_BINGET":
                    stack.append(memo[arg])
                case "EMPTY_DICT":
                    stack.append({})
                case "EMPTY_LIST" | "EMPTY_SET":
                    stack.append([])
                case "EMPTY_TUPLE":
                    stack.append(())
                case "TUPLE1" | "TUPLE2" | "TUPLE3":
                    length = int(opcode.name[-1])
                    stack[-length:] = [tuple(stack[-length:])]
                case "TUPLE":
                    stack.append(tuple(above_mark()))
                case "APPEND":
                    value = stack.pop()
                    stack[-1].append(value)
                case "APPENDS" | "ADDITEMS":
                    items = above_mark()
                    stack[-1].extend(items)
                case "SETITEM":
                    key, value = stack[-2:]
                    del stack[-2:]
                    fill(stack[-1], [(key, value)])
                case "SETITEMS":
                    items = above_mark()
                    fill(stack[-1], zip(items[::2], items[1::2], strict=True))
                case "GLOBAL":
                    stack.append(self.name(str(arg).replace(" ", ".")))
                case "STACK_GLOBAL":
                    stack[-2:] = [self.name(".".join(stack[-2:]))]
                case "REDUCE" | "NEWOBJ":
                    args = stack.pop()
                    stack.append(self.call(stack.pop(), args))
                case "BUILD":
                    stack.pop()
                    if not isinstance(
                        stack[-1], dict | Other
                    ):  # a dict's attributes are no weights
                        raise Refused("sets the attributes of an object")
                case "BINPERSID":
                    stack.append(self.storage(stack.pop()))
                case _:
                    raise Refused(f"has the opcode {opcode.name}, which torch.save does not write")
        raise AssertionError("genops ends with STOP or an exception")

    def name(self, name: str) -> Name:
        """A name of those that `torch.save` needs for weights and plain values."""
        name = name.replace("__builtin__.", "builtins.")
        last = name.rpartition(".")[2]
        value_of_torch = isinstance(vars(torch).get(last), torch.dtype | torch.qscheme)
        if not (
            name in self.calls or name in _NOT_NEEDED or name == "torch.Tensor"
            or (name.startswith("torch.") and (last in DTYPES or value_of_torch))
        ):  # fmt: skip
            raise Refused(f"holds {name} beside tensors; {_CODE}")
        return Name(name)

    def call(self, function: Name, args: Any) -> Any:
        """What a call would return; it is not made."""
        if function.name in self.calls:
            return self.calls[function.name](*args)
        if function.name in _NOT_NEEDED:
            return Other()
        raise Refused(f"calls {function.name}; {_CODE}")

    def storage(self, claim: Any) -> Storage:
        """The storage that a persistent id names."""
        kind, of, key, _, numel, *view = claim
        if kind != "storage" or view not in ([], [None]) or type(key) is not str:
            raise Refused("refers to something else than a storage")
        if type(numel) is not int or numel < 0:
            raise Refused("claims a storage of an impossible size")
        dtype = DTYPES[of.name.rpartition(".")[2]]
        return self.storages.setdefault(key, Storage(key, dtype, numel))

    def tensor(
        self, storage: Storage, offset: Any, size: Any, stride: Any,
        requires_grad: bool = False, hooks: Any = None, flags: Any = None,
    ) -> Lazy:  # fmt: skip
        """A tensor of its storage's type."""
        negated = bool(flags and flags.get("neg"))
        return self._lazy(storage, storage.dtype, offset, size, stride, negated)

    def tensor_of_type(
        self, storage: Storage, offset: Any, size: Any, stride: Any,
        requires_grad: bool, hooks: Any, dtype: Name, flags: Any = None,
    ) -> Lazy:  # fmt: skip
        """A tensor of a type that has no class of storages."""
        numbers = vars(torch)[dtype.name.removeprefix("torch.")]
        return self._lazy(storage, numbers, offset, size, stride, False)

    def _lazy(
        self, storage: Storage, dtype: torch.dtype, offset: Any, size: Any, stride: Any, neg: bool
    ) -> Lazy:
        shape = (offset, *size, *stride)
        if not all(type(n) is int and 0 <= n < 2**48 for n in shape) or len(shape) > 17:
            raise Refused("has a tensor of an impossible shape")
        return Lazy(partial(self.find, storage, dtype, offset, size, stride, neg))


def mapping(items: Any = ()) -> dict[Any, Any]:
    """A dict of pairs, or of another dict."""
    made: dict[Any, Any] = {}
    fill(made, items.items() if isinstance(items, dict) else items)
    return made


def fill(target: Any, items: Iterable[tuple[Any, Any]]) -> None:
    """Put items into a dict, whose keys must be plain values and differ."""
    if type(target) is not dict:
        raise Refused(f"sets items of a {type(target).__name__}")
    for key, value in items:
        for part in key if type(key) is tuple else (key,):
            if not isinstance(part, str | int | float | bytes | Name | None):
                raise Refused(f"has a {type(part).__name__} as a key, expected text")
        if key in target:
            raise Refused(f"has the key {shown(key)} twice")
        target[key] = value


def _first(value: Any, *_: Any) -> Any:
    return value
