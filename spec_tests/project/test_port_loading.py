"""How a port is found, the errors for what is not a port, and what a port may return."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from spec_tests import test_properties
from spec_tests.harness.cases import Case
from spec_tests.harness.errors import BadPort, Breakdown, NotOffered, Refusal
from spec_tests.harness.interface import FUNCTIONS
from spec_tests.harness.judging import Nonconformance, Question, agree, for_cases
from spec_tests.harness.porting import Port, find_port
from spec_tests.ports import numpy_port
from timesformer_ref.config import TimeSformerConfig

PAGE = Path(__file__).parents[2] / "docs" / "ports.md"

FORWARD = "def forward(video, weights, config): return 0\n"

NO_PORTS = {
    "without forward": ("x = 1", "has no function forward(video, weights, config)"),
    "forward is a number": ("forward = 3", "forward is 3, expected a function"),
    "a module for a function": (FORWARD + "import json as mlp", "mlp is <module 'json'"),
    "load is a number": (FORWARD + "load = 3", "load is 3, expected a function"),
    "no Python": ("\ndef forward(", "cannot be imported: SyntaxError", "my_port.py, line 2"),
    "an import fails": ("\nimport no_such", "ModuleNotFoundError at my_port.py:2", "'no_such'"),
    "an error": (FORWARD + "1 / 0", "ZeroDivisionError at my_port.py:2", "division by zero"),
    "it raises no Exception": (
        "raise BaseException('no GPU')",
        "cannot be imported: BaseException at my_port.py:1",
    ),
    "it exits": ("raise SystemExit(3)", "cannot be imported: SystemExit at my_port.py:1"),
    "a type that is none": (FORWARD + "DTYPE = 'float8'", "DTYPE is 'float8', expected one of"),
    "a type's class": (FORWARD + "DTYPE = float", "DTYPE is <class 'float'>, expected one of"),
    "a string for a tuple": (
        FORWARD + "ATTENTION_TYPES = 'axial'",
        "ATTENTION_TYPES is 'axial', expected a tuple",
    ),
    "an unknown scheme": (
        FORWARD + "ATTENTION_TYPES = ['space', 'axial']",
        "has 'space', expected",
    ),
    "no scheme": (FORWARD + "ATTENTION_TYPES = ()", "ATTENTION_TYPES is empty"),
    "a number for a truth": (FORWARD + "FIXED_FRAMES = 8", "FIXED_FRAMES is 8, expected True or"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_the_arguments_that_the_interface_names(name):
    arguments = tuple(signature(getattr(numpy_port, name)).parameters)
    assert arguments[: len(FUNCTIONS[name])] == FUNCTIONS[name]
    assert f"`{name}({', '.join(FUNCTIONS[name])})`" in PAGE.read_text()


def error_of(place):
    """The one line of the error for a place without a port."""
    with pytest.raises(BadPort) as error:
        find_port(str(place))
    message = str(error.value)
    assert message.startswith(f"--port {place}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(("source", "words"), [(s, w) for s, *w in NO_PORTS.values()], ids=NO_PORTS)
def test_a_file_that_is_no_port(tmp_path, source, words):
    path = tmp_path / "my_port.py"
    path.write_text(source)
    message = error_of(path)
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("no/such/port.py", "there is no such file"),
        ("no.such.module", "cannot be imported: ModuleNotFoundError: No module named"),
        ("spec_tests.ports.variants:torch_float8", "variants has no torch_float8"),
        ("mutant:unknown", "there is no mutant unknown"),
        ("cmd:", "names no program"),
        ("cmd:./port 'x", "cannot be read: No closing quotation"),
        ("cmd:./no-such-program", "does not start: [Errno 2] No such file"),
        ("cmd:/", "does not start: [Errno 13] Permission denied"),
    ],
)
def test_a_place_without_a_port(place, words):
    assert words in error_of(place)


def test_a_folder_and_another_file_are_no_python_files(tmp_path):
    (tmp_path / "port.txt").touch()
    assert "is no Python file" in error_of(f"{tmp_path}/")
    assert "is no Python file" in error_of(tmp_path / "port.txt")


def test_a_port_imports_the_files_beside_it(tmp_path):
    (tmp_path / "beside_a_port.py").write_text(FORWARD)
    (tmp_path / "a_port_of_two_files.py").write_text("from beside_a_port import forward")
    assert find_port(str(tmp_path / "a_port_of_two_files.py")).name == "a_port_of_two_files"


def test_a_port_may_be_an_object_of_a_module(tmp_path):
    path = tmp_path / "two_ports.py"
    path.write_text("class small:\n    forward = len\n    DTYPE = 'float16'\n")
    port = find_port(f"{path}:small")
    assert (port.name, port.dtype) == ("small", "float16")


def test_a_name_is_one_line():
    assert Port(SimpleNamespace(forward=len, NAME="my\n port"), "").name == "my port"


def returns(answer):
    """The result of a call of a port that returns this."""
    return Port(SimpleNamespace(forward=lambda: answer), "port").call("forward")


@pytest.mark.parametrize(
    "answer", [[[1, 2]], ((1, 2),), torch.tensor([[1, 2]]), np.array([[1, 2]], np.float64)]
)
def test_whatever_numpy_takes_for_an_array_is_one(answer):
    assert returns(answer).tolist() == [[1, 2]]


def test_answers_of_several_parts():
    loss, gradients = returns([torch.tensor(2.0), {"a": [1, 2]}])
    assert loss == 2
    assert isinstance(gradients["a"], np.ndarray)


def test_an_array_that_the_port_uses_again_is_copied():
    buffer = np.zeros(2)
    answer = returns(buffer)
    buffer += 1
    assert (answer == 0).all()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "returned a NoneType, expected an array of numbers"),
        ("logits", "returned a str, expected an array of numbers"),
        (object(), "returned a object, expected an array of numbers"),
        ([None, None], "returned a list of object, expected an array of numbers"),
        ([[1, 2], [3]], "returned a list that is no array"),
        (torch.ones(1, requires_grad=True), "returned a Tensor that is no array: Can't call numpy"),
        (torch.ones(1).bfloat16(), "returned a Tensor that is no array: Got unsupported"),
        ({"a": None}, "returned a NoneType"),
    ],
)
def test_what_is_no_array(answer, words):
    with pytest.raises(Breakdown) as error:
        returns(answer)
    assert str(error.value).startswith(words)


def raises(error):
    def forward():
        raise error

    return Port(SimpleNamespace(forward=forward), "port")


class Unusual(BaseException):
    """What some frameworks raise past every `except Exception`."""


@pytest.mark.parametrize(
    "error",
    [ValueError("no\nsuch  size"), SystemExit("no such size"), Unusual("no such size")],
)
def test_an_error_is_a_refusal_that_names_the_line_of_the_port(error):
    with pytest.raises(Refusal) as refusal:
        raises(error).call("forward")
    assert refusal.value.kind == type(error).__name__
    place = "at test_port_loading.py:"
    assert str(refusal.value).startswith(f"{refusal.value.kind} {place}")
    assert str(refusal.value).endswith("in forward: no such size")


def test_an_error_in_a_library_names_the_line_that_called_it():
    port = Port(SimpleNamespace(forward=lambda: torch.ones(2) @ torch.ones(3)), "port")
    with pytest.raises(Refusal, match=r"^RuntimeError at test_port_loading.py:\d+, in <lambda>: "):
        port.call("forward")


def test_a_long_error_is_cut():
    with pytest.raises(Refusal) as refusal:
        raises(ValueError("x" * 9999)).call("forward")
    assert len(str(refusal.value)) < 600


def test_what_is_not_implemented_is_not_offered():
    with pytest.raises(NotOffered):
        raises(NotImplementedError()).call("forward")
    with pytest.raises(NotOffered, match="the port lacks mlp"):
        raises(ValueError()).call("mlp")


def test_a_name_like_that_of_a_missing_function_is_shown():
    port = Port(SimpleNamespace(forward=len, time_embeding=len, frame_indices=len), "port")
    with pytest.raises(NotOffered, match=r"^the port lacks time_embedding but has time_embeding$"):
        port.call("time_embedding")
    with pytest.raises(NotOffered, match=r"^the port lacks segment_indices$"):
        port.call("segment_indices")


def test_ctrl_c_goes_through():
    with pytest.raises(KeyboardInterrupt):
        raises(KeyboardInterrupt()).call("forward")


CONFIG = TimeSformerConfig(
    image_size=4, patch_size=2, num_channels=1, num_frames=2, hidden_size=4, num_hidden_layers=1,
    num_attention_heads=2, intermediate_size=4, num_labels=2,
)  # fmt: skip
CASE = Case(CONFIG, (1, 2, 1, 4, 4))


def test_load_is_called_once_for_each_set_of_weights():
    loaded = []

    def load(weights, config):
        assert config is CONFIG
        loaded.append(weights)
        return len(loaded)

    port = Port(SimpleNamespace(forward=lambda video, model, config: model, load=load), "port")
    first, second = {"a": np.ones(1)}, {"a": np.ones(1)}
    sets = (first, first, second, first)
    assert [port.call("forward", 0, weights, CONFIG) for weights in sets] == [1, 1, 2, 1]


def test_an_error_of_load_is_shown():
    def load(weights, config):
        raise ValueError("an unknown weight")

    port = Port(SimpleNamespace(forward=numpy_port.forward, load=load), "port")
    with pytest.raises(
        Nonconformance, match=r"^forward: raised an error: ValueError .*, in load: "
    ):
        agree(port, CASE, "forward")


def spoiled(change):
    """A port whose MLP is right, and then is not."""

    def mlp(tokens, weights, config, layer):
        return change(numpy_port.mlp(tokens, weights, config, layer), tokens, weights)

    return Port(SimpleNamespace(forward=numpy_port.forward, mlp=mlp), "port")


def in_place(answer, tokens, weights):
    tokens += 1
    return answer


def in_weights(answer, tokens, weights):
    weights["blocks.0.mlp.fc1.bias"] *= 2
    return answer


def without_weight(answer, tokens, weights):
    del weights["norm.bias"]
    return answer


def with_weight(answer, tokens, weights):
    weights["mine"] = tokens
    return answer


def spoiled_and_failed(answer, tokens, weights):
    raise ValueError(weights.pop("norm.bias"))


WRONG = {
    "another shape": (lambda x, *_: x[:, 1:], r"shape \(1, 8, 4\), expected \(1, 9, 4\)"),
    "complex": (lambda x, *_: x + 0j, "type complex64, expected numbers"),
    "truths": (lambda x, *_: x > 0, "type bool, expected numbers"),
    "not finite": (
        lambda x, *_: np.where(x == x[0, 3, 2], np.nan, x),
        r"1 of 36 float32 values are not finite, the first at \[0, 3, 2\]",
    ),
    "nothing": (lambda x, *_: None, "returned a NoneType"),
    "parts": (lambda x, *_: {"output": x}, r"returned arrays by name \('output'\), expected one"),
    "half precision": (lambda x, *_: x.astype(np.float16), "off by .*, the bound is"),
    "tokens changed": (in_place, "changed its argument tokens in place"),
    "weights changed": (in_weights, "changed its argument blocks.0.mlp.fc1.bias in place"),
    "weights removed": (without_weight, "removed 'norm.bias' in its argument weights"),
    "weights added": (with_weight, "added 'mine' in its argument weights"),
    "weights removed, an error": (spoiled_and_failed, "removed 'norm.bias' in its argument"),
}


@pytest.mark.parametrize(("change", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_answer_fails(change, words):
    with pytest.raises(Nonconformance, match=f"^mlp: {words}") as failure:
        agree(spoiled(change), CASE, "mlp")
    assert Case.from_report(failure.value.given) == CASE


def test_an_answer_in_higher_precision_is_right():
    agree(spoiled(lambda x, *_: x.astype(np.float64)), CASE, "mlp")


def test_a_port_that_fails_now_and_then_fails():
    rng = np.random.default_rng(0)
    port = spoiled(lambda x, *_: x + (rng.random() < 0.3))

    @for_cases(examples=20)
    def check(port, case):
        agree(port, case, "mlp")

    with pytest.raises(Nonconformance, match=r"^mlp: off by"):
        check(port=port)


def test_a_failure_comes_with_the_smallest_input():
    @for_cases()
    def check(port, case):
        Question(port, case, "mlp").answer()

    with pytest.raises(Nonconformance) as failure:
        check(port=spoiled(lambda x, *_: x[..., :2]))
    case = Case.from_report(failure.value.given)
    assert case.clip == (2, 2, 2, 4, 4)
    assert case.config.num_hidden_layers == 1
    with pytest.raises(Nonconformance) as again:
        check.check(spoiled(lambda x, *_: x[..., :2]), case)
    assert str(again.value) == str(failure.value)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (np.ones(2), "returned one array, expected arrays by name ('blocks."),
        ({"a": np.ones(2)}, "returned arrays by name without the loss, expected a pair"),
        ((1.0, {"mine": np.ones(2)}), "and 26 more, has 'mine' besides"),
    ],
)
def test_gradients_are_a_loss_and_arrays_by_name(answer, words):
    port = Port(SimpleNamespace(forward=len, gradients=lambda *_: answer), "port")
    with pytest.raises(Nonconformance) as failure:
        agree(port, CASE, "gradients")
    assert words in str(failure.value)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_loss_is_one_number_of_any_shape(shape):
    def gradients(*args):
        loss, by_name = numpy_port.gradients(*args)
        return np.reshape(loss, shape), by_name

    agree(Port(SimpleNamespace(forward=len, gradients=gradients), "port"), CASE, "gradients")


def is_plain(value):
    """Whether an array can be read by pointer, and written without anyone else seeing it."""
    values = value.values() if isinstance(value, dict) else [value]
    return all(
        x.flags.c_contiguous and x.flags.owndata and x.flags.writeable
        for x in values
        if isinstance(x, np.ndarray)
    )


def strange(value):
    """The same numbers in another order of memory, each one's neighbour far away."""
    if isinstance(value, dict):
        return {name: strange(x) for name, x in value.items()}
    return np.asfortranarray(value)[::-1][::-1] if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_are_handed_over_in_the_order_of_c(function, dtype):
    called = []

    def spy(*args):
        called.append(all(map(is_plain, args)))
        raise ValueError

    port = Port(SimpleNamespace(forward=spy, DTYPE=dtype) if function == "forward" else
                SimpleNamespace(forward=len, DTYPE=dtype, **{function: spy}), "port")  # fmt: skip
    frames = np.zeros((2, 8, 9, 3), np.uint8)
    question = Question(port, CASE, function, step="temporal")
    if function == "crops":
        question.arguments["frames"] = frames
    question.arguments = {name: strange(x) for name, x in question.arguments.items()}
    with pytest.raises(Nonconformance, match="raised an error: ValueError"):
        question.answer()
    assert called == [True]


def test_so_are_those_of_properties():
    """Videos with frames in another order, and weights with patches in another."""
    answers = []

    def forward(*args):
        answers.append(all(map(is_plain, args)))
        return numpy_port.forward(*args)

    port = Port(SimpleNamespace(forward=forward), "port")
    test_properties.test_constant_time_has_no_order(port=port)
    test_properties.test_patches_may_change_places_with_their_positions(port=port)
    assert answers
    assert all(answers)
