"""Programs as ports: the line protocol, and every way in which a program may break it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest

from spec_tests import test_model
from spec_tests.harness.cases import Case
from spec_tests.harness.command_port import PATIENCE
from spec_tests.harness.errors import BadPort, Breakdown, NotOffered, NotRun, Refusal
from spec_tests.harness.judging import Nonconformance, agree
from spec_tests.harness.porting import find_port
from spec_tests.harness.program import Program
from spec_tests.project.processes import afresh
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.default_model import FILE

SUITE = Path(__file__).parents[1]

LIBRARY = '''
import json, os, struct, sys, time

def respond(metadata={}, **tensors):
    """Write the response: tensors as (type, shape, bytes)."""
    header, data = {"__metadata__": metadata}, b""
    for name, (dtype, shape, content) in tensors.items():
        place = [len(data), len(data) + len(content)]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": place}
        data += content
    text = json.dumps(header).encode()
    with open(response, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)

def zeros():
    respond(output=("F32", [1, 2], bytes(8)))

for line in sys.stdin:
    weights, request, response = line.rstrip("\\n").split("\\t")
    with open(request, "rb") as file:
        told = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))["__metadata__"]
'''
LOOP = """
    if told["function"] == "describe":
        {describe}
    else:
        {answer}
    print("done", flush=True)
"""

CONFIG = TimeSformerConfig(
    image_size=4, patch_size=2, num_channels=1, num_frames=2, hidden_size=4, num_hidden_layers=1,
    num_attention_heads=2, intermediate_size=4, num_labels=2,
)  # fmt: skip
CASE = Case(CONFIG, (1, 2, 1, 4, 4))
VIDEO = np.float32(CASE.video)


@pytest.fixture
def program(tmp_path):
    """Start a program, given what it does when it describes itself and when it is called."""
    ports = []

    def start(answer="zeros()", describe="respond()", timeout=5, to_describe=30):
        path = tmp_path / f"program{len(ports)}.py"
        path.write_text(LIBRARY + LOOP.format(describe=describe, answer=answer))
        ports.append(find_port(f"cmd:{sys.executable} -S -I {path}", to_describe))
        ports[-1].functions._program.timeout = timeout
        return ports[-1]

    yield start
    for port in ports:
        port.close()


def forward(port, weights=None):
    return port.call("forward", VIDEO, weights or {"w": VIDEO}, CONFIG)


def breakdown(port, function=forward):
    """The one line that says how a program broke down."""
    with pytest.raises(Breakdown) as error:
        function(port)
    return str(error.value)


def test_a_program_answers_again_and_again(program):
    port = program()
    for _ in range(3):
        assert forward(port).tolist() == [[0, 0]]


def test_a_program_describes_itself(program):
    told = {
        "NAME": "mine", "DTYPE": "float64", "ATTENTION_TYPES": '["axial"]', "STATIC_SHAPES": "true",
        "OTHER": "x",
    }  # fmt: skip
    port = program(describe=f"respond({told})")
    assert (port.name, port.dtype, port.schemes) == ("mine", "float64", ("axial",))
    assert port.static_shapes
    assert not port.fixed_frames


def test_a_program_may_have_nothing_to_say_of_itself(program):
    assert program(describe='respond({"unsupported": ""})').dtype == "float32"


@pytest.mark.parametrize(
    ("describe", "words"),
    [
        ('respond({"DTYPE": "float8"})', "DTYPE is 'float8'"),
        (
            'respond({"FIXED_FRAMES": "True"})',
            "describe: FIXED_FRAMES is 'True', which is not JSON",
        ),
        ('respond({"FIXED_FRAMES": "1"})', "FIXED_FRAMES is 1, expected True or False"),
        ('respond({"ATTENTION_TYPES": \'"axial"\'})', "ATTENTION_TYPES is 'axial', expected a"),
        ('respond({"error": "no GPU"})', "describe: the program responded with the error no GPU"),
        ("print(1)", "describe: the program wrote '1', expected the line 'done'"),
        ('sys.exit("no GPU")', "describe: the program ended with exit code 1: no GPU"),
        ("time.sleep(60)", "describe: the program hung: no reply in 0.5 s"),
    ],
)
def test_a_program_that_describes_garbage_is_no_port(program, describe, words):
    with pytest.raises(BadPort) as error:
        program(describe=describe, to_describe=0.5 if "hung" in words else 30)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_program_says_what_it_has_not_and_what_it_refuses(program):
    with pytest.raises(NotOffered, match=r"^the port lacks forward$"):
        forward(program('respond({"unsupported": ""})'))
    with pytest.raises(Refusal, match=r"^too large$"):
        forward(program('respond({"error": "too large"})'))


def test_a_breakdown_is_a_failure_and_no_refusal(program):
    with pytest.raises(Nonconformance, match=r"^forward: the program was killed by SIGABRT"):
        agree(program("os.abort()"), CASE, "forward")


BROKEN = {
    "it dies": ("os.abort()", "the program was killed by SIGABRT"),
    "it exits": ('sys.exit("no\\nmemory")', "the program ended with exit code 1: no memory"),
    "it leaves": ("sys.exit()", "the program ended with exit code 0"),
    "it says more": ('print("loading", flush=True)', "the program wrote 'loading', expected"),
    "it never ends a line": ("while 1: sys.stdout.write('x' * 99)", "the program wrote 'xxxx"),
    "it says too much": ("while 1: print('done')", "without writing the response file"),
    "no file": ("pass", "said 'done' without writing the response file"),
    "a folder": ("os.mkdir(response)", "the response is not a safetensors file"),
    "garbage": ('open(response, "w").write("garbage")', "the response is not a safetensors file"),
    "a cut file": ('respond(output=("F32", [1, 2], bytes(4)))', "is not a safetensors file"),
    "another name": ('respond(logits=("F32", [1], bytes(4)))', "has ['logits'], expected 'output'"),
    "no tensor": ("respond()", "the response has no tensors, expected 'output'"),
    "a type that NumPy lacks": ('respond(output=("BF16", [1, 2], bytes(4)))', "bfloat16"),
}


@pytest.mark.parametrize(("answer", "words"), BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_is_told(program, answer, words):
    port = program(answer)
    message = breakdown(port)
    assert words in message
    assert "\n" not in message
    assert "asked again" not in message
    breakdown(port)


def test_numbers_are_judged_as_a_python_ports(program):
    nan = "bytes([0, 0, 192, 127])"
    for output, words in {
        f'("F32", [1, 2], 2 * {nan})': "2 of 2 float32 values are not finite, the first at",
        '("F32", [2, 1], bytes(8))': r"shape \(2, 1\), expected \(1, 2\)",
        '("BOOL", [1, 2], bytes(2))': "type bool, expected numbers",
        '("I64", [1, 2], bytes(16))': "off by",
    }.items():
        with pytest.raises(Nonconformance, match=f"^forward: {words}"):
            agree(program(f"respond(output={output})"), CASE, "forward")


def test_a_line_that_nobody_asked_for_is_told_at_the_next_call(program):
    port = program('zeros(); print("done")')
    forward(port)
    time.sleep(0.1)
    assert breakdown(port) == "the program wrote 'done' before it was sent a request"


@pytest.mark.slow
def test_a_program_that_reads_or_writes_no_more_is_told(program):
    port = program("os.close(1); time.sleep(60)", timeout=0.5)
    assert "the program closed its standard output" in breakdown(port)
    port = program('zeros(); os.close(0); print("done", flush=True); time.sleep(60)', timeout=0.5)
    forward(port)
    assert "the program closed its standard input" in breakdown(port)


def test_errors_of_any_length_block_nobody(program):
    port = program('sys.stderr.write("x" * 2000000); zeros()')
    assert forward(port).shape == (1, 2)
    message = breakdown(program('sys.exit("x" * 2000000 + "the end")'))
    assert message.endswith("the end")
    assert len(message) < 1200


def test_a_function_that_hung_is_not_asked_again(program):
    port = program('time.sleep(60) if told["function"] == "forward" else zeros()', timeout=1)
    message = breakdown(port)
    assert message.startswith("the program hung: no reply in 1 s; a reply is one line, flushed")
    assert "--port-timeout" in message
    with pytest.raises(NotRun, match=r"^forward was not called again after a failure: the program"):
        forward(port)
    assert port.call("segment_indices", 8, 2).shape == (1, 2)


def test_a_function_that_always_breaks_down_is_given_up(program):
    port = program("os.abort()")
    for _ in range(PATIENCE):
        breakdown(port)
    with pytest.raises(NotRun, match="was killed by SIGABRT"):
        forward(port)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ('zeros(); sys.stdout.write("done"); sys.stdout.flush(); time.sleep(9)',
         "it wrote 'done' without a newline"),
        ('zeros(); sys.stdout.write("done\\n"); time.sleep(9)', "flushed at once"),
        ("sys.stdin.read()", "before the next request or the end of the input is read"),
    ],
)  # fmt: skip
def test_a_program_that_keeps_its_reply_back_learns_what_to_look_for(program, answer, words):
    assert words in breakdown(program(answer, timeout=0.5))


def test_a_line_may_end_with_the_output(program):
    port = program('zeros(); sys.stdout.write("done"); sys.stdout.flush(); os._exit(0)')
    assert forward(port).shape == (1, 2)


def test_what_a_program_was_not_asked_is_not_run(program):
    """A slow call fails, with its input; the tests after it do not."""
    port = program('time.sleep(9) if told["function"] == "forward" else zeros()', timeout=0.3)
    with pytest.raises(Nonconformance, match="hung"):
        test_model.test_every_block_in_order(port=port)
    with pytest.raises(NotRun, match="hung"):
        test_model.test_nothing_is_dropped(port=port)


def test_a_call_may_be_given_more_time(program):
    port = program("time.sleep(0.6); zeros()", timeout=0.3)
    with port.patience(30):
        assert forward(port).shape == (1, 2)
    assert port.functions._program.timeout == pytest.approx(0.3)


def test_a_function_that_breaks_down_on_some_inputs_is_asked_on(program):
    port = program('os.abort() if told["total"] == "7" else zeros()')
    port.call("segment_indices", 8, 2)
    for _ in range(PATIENCE + 1):
        message = breakdown(port, lambda port: port.call("segment_indices", 7, 2))
        assert message == "the program was killed by SIGABRT"
    port.call("segment_indices", 8, 2)


def test_a_path_of_weights_means_the_same_weights(program):
    port = program('respond({"error": weights})')

    def path(weights):
        with pytest.raises(Refusal) as refusal:
            forward(port, weights)
        return Path(str(refusal.value))

    sets = [{"w": VIDEO + i} for i in range(6)]
    paths = [path(weights) for weights in sets]
    assert len(set(paths)) == 6
    assert path(sets[-1]) == paths[-1]
    assert [p.exists() for p in paths] == [False] * 2 + [True] * 4


def is_running(pid):
    """Whether a process is there and no zombie."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] not in "ZX"


def pids_of(port):
    """The program's process, and one that it has started."""
    with pytest.raises(Refusal) as refusal:
        forward(port)
    return list(map(int, str(refusal.value).split()))


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
WITH_CHILD = (
    'child = os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "60"); '
    'respond({"error": f"{os.getpid()} {child}"})'
)


@needs_proc
def test_a_program_ends_with_all_that_it_started(program):
    port = program(WITH_CHILD)
    pids = pids_of(port)
    assert all(map(is_running, pids))
    folder = Path(port.functions._folder.name)
    port.close()
    time.sleep(0.05)
    assert not any(map(is_running, pids))
    assert not folder.exists()


@pytest.fixture
def ctrl_c_is_heard():
    """As for a command in the foreground, even where these tests are run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@needs_proc
@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_ctrl_c_ends_the_program():
    program = Program(["sleep", "60"], 30)
    main = threading.main_thread().ident
    threading.Timer(0.3, signal.pthread_kill, [main, signal.SIGINT]).start()
    program._start()
    pid = program._process.pid
    with pytest.raises(KeyboardInterrupt):
        program.exchange("a line")
    assert not is_running(pid)


@pytest.mark.slow
@needs_proc
def test_no_program_outlives_python():
    """Not even one that hangs, in a Python that ends without a word."""
    script = (
        "from spec_tests.harness.program import Program; program = Program(['sleep', '60'], 1); "
        "program._start(); print(program._process.pid)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert not is_running(int(done.stdout))


def with_a_checkpoint(program):
    """What a run on the small model says of a program, and its report."""
    options = ["--port-timeout=0.3", "--report=report.json", "--checkpoint", str(FILE)]
    written = io.StringIO()
    with redirect_stdout(written):
        tests = [
            f"{SUITE}/test_real_checkpoint.py",
            f"{SUITE}/test_model.py::test_nothing_is_dropped",
        ]
        pytest.main([*tests, "-q", "-p", "no:cacheprovider", f"--port=cmd:{program}", *options])
    return written.getvalue(), json.loads(Path("report.json").read_text())


@pytest.mark.slow
def test_a_real_checkpoint_comes_last_and_has_a_limit_of_its_own(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    slow = """time.sleep(0.5 * ('"hidden_size": 96' in told["config"])); zeros()"""
    command = " ".join(program(slow).functions._program.command)
    written, report = afresh(with_a_checkpoint, command, seconds=120)
    assert "camera-motion.safetensors: expected logits, in float64 …" in written
    assert written.index("F") < written.index("expected logits")
    (failed,) = (row for row in report["requirements"] if row["id"] == "MODEL-5")
    assert failed["message"].startswith("forward: shape")
