"""What every engine promises about a run: lines as they come, a reason for each end, nothing left behind."""

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from repromatrix.engines.base import Exit
from tests.engines.conftest import LIMITS, Bench

FOREVER = "import time\nprint('begun', flush=True)\ntime.sleep(600)\n"


def test_lines_come_in_order_and_the_exit_is_clean(bench: Bench) -> None:
    lines, end = bench.run("for i in range(3): print('line', i)")
    assert lines == [b"line 0", b"line 1", b"line 2"]
    assert end == Exit(code=0)
    assert end.clean


def test_empty_standard_input_runs_the_default_job(bench: Bench) -> None:
    assert bench.run(b"") == ([b"default job"], Exit(code=0))


def test_a_line_arrives_before_the_run_ends(bench: Bench) -> None:
    with bench.start(FOREVER) as run:
        assert next(iter(run.lines())) == b"begun"


def test_five_megabytes_arrive_whole_while_output_flows(bench: Bench) -> None:
    code = b"#" + b"x" * (5 << 20) + b"\nimport hashlib; print(hashlib.sha256(source.encode()).hexdigest())\n"
    lines, end = bench.run(code)
    assert (lines, end.code) == ([hashlib.sha256(code).hexdigest().encode()], 0)


def test_input_that_nobody_reads_does_not_block(bench: Bench) -> None:
    lines, end = bench.run(b"import os; print('done', flush=True); os._exit(0)\n#" + b"y" * (1 << 20))
    assert (lines, end.code) == ([b"done"], 0)


def test_an_exit_code_is_kept(bench: Bench) -> None:
    _, end = bench.run("raise SystemExit(3)")
    assert end == Exit(code=3)
    assert end.explain(LIMITS) == "exit code 3"


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGILL", "SIGKILL", "SIGTERM"])
def test_a_crash_has_its_signals_name_and_keeps_what_came_before(bench: Bench, name: str) -> None:
    code = f"import os, signal\nprint('before', flush=True)\nos.kill(os.getpid(), signal.{name})"
    lines, end = bench.run(code)
    assert (lines, end) == ([b"before"], Exit(signal=name))
    assert end.explain(LIMITS) == f"killed by {name}"


def test_silence_ends_the_run_and_lines_postpone_that(bench: Bench) -> None:
    code = "import time\nfor i in range(9): print(i, flush=True); time.sleep(0.7)\ntime.sleep(600)"
    begin = time.monotonic()
    lines, end = bench.run(code, replace(LIMITS, silence=5))  # less than all lines take
    assert (lines, end) == ([str(number).encode() for number in range(9)], Exit(timed_out=True))
    assert 5 + 8 * 0.7 < time.monotonic() - begin < 60


def test_bytes_without_a_newline_are_silence(bench: Bench) -> None:
    code = "import sys, time\nwhile True: sys.stdout.write('.'); sys.stdout.flush(); time.sleep(0.1)"
    assert bench.run(code, replace(LIMITS, silence=1.5)) == ([], Exit(timed_out=True))


def test_a_process_that_ignores_signals_and_closes_its_output_is_ended_too(bench: Bench) -> None:
    code = (
        "import os, signal, time\n"
        "for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(n, signal.SIG_IGN)\n"
        "os.close(1); os.close(2)\ntime.sleep(600)"
    )
    _, end = bench.run(code, replace(LIMITS, silence=1.5))
    assert end == Exit(timed_out=True)


def test_memory_over_the_limit(bench: Bench) -> None:
    code = "print('before', flush=True)\nkeep = []\nwhile True: keep.append(bytearray(b'1') * (8 << 20))"
    lines, end = bench.run(code)
    assert (lines, end) == ([b"before"], Exit(out_of_memory=True))
    assert end.explain(LIMITS) == "killed for memory (limit 256 MiB)"


def test_memory_under_the_limit(bench: Bench) -> None:
    lines, end = bench.run("import time\nkeep = bytearray(b'1') * (120 << 20)\ntime.sleep(0.5)\nprint(len(keep))")
    assert (lines, end.code) == ([str(120 << 20).encode()], 0)


def test_a_flood_of_lines_is_cut(bench: Bench) -> None:
    lines, end = bench.run("while True: print('z' * 1000)", replace(LIMITS, output_bytes=1 << 20))
    assert end == Exit(too_much_output=True)
    assert lines[0] == b"z" * 1000
    assert sum(len(line) + 1 for line in lines) <= 1 << 20


def test_one_endless_line_is_cut(bench: Bench) -> None:
    code = "import sys\nwhile True: sys.stdout.write('z' * 65536)"
    assert bench.run(code, replace(LIMITS, output_bytes=1 << 20)) == ([], Exit(too_much_output=True))


def test_rubbish_is_handed_on_as_it_is(bench: Bench) -> None:
    rubbish = bytes(byte for byte in range(256) if byte != 10)
    lines, end = bench.run("import sys; sys.stdout.buffer.write(bytes(b for b in range(256) if b != 10))")
    assert (lines, end.code) == ([rubbish], 0)


def test_standard_error_goes_to_the_log(bench: Bench) -> None:
    before = bench.log.stat().st_size if bench.log.exists() else 0
    lines, _ = bench.run("import sys; print('to the log', file=sys.stderr); print('to the reader')")
    assert lines == [b"to the reader"]
    assert bench.log.read_bytes()[before:] == b"to the log\n"


def test_the_result_is_not_known_before_the_end(bench: Bench) -> None:
    with (
        bench.start(b"") as run,
        pytest.raises(RuntimeError, match="still under way"),
    ):
        run.result()


def test_variables_are_those_of_the_environment_and_of_the_run_and_no_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("OMP_NUM_THREADS", "17")
    code = "import os\nfor name in sorted(os.environ): print(f'{name}={os.environ[name]}')"
    lines, _ = bench.run(code, variables={"OF_THE_RUN": "yes"})
    found = dict(line.decode().split("=", 1) for line in lines)
    assert found["TINY_VARIABLE"] == 'a "quoted" $HOME \\ value'
    assert found["OF_THE_RUN"] == "yes"
    assert found["CUDA_VISIBLE_DEVICES"] == ""
    assert set(found) - {"HOSTNAME", "LC_CTYPE"} == {
        "CUDA_VISIBLE_DEVICES",
        "HOME",
        "LANG",
        "OF_THE_RUN",
        "PATH",
        "TINY_VARIABLE",
        "TMPDIR",
    }


def test_sources_lie_side_by_side_and_the_wheel_is_installed(bench: Bench) -> None:
    lines, _ = bench.run("import beside, tiny; print(beside.VALUE, tiny.tiny)")
    assert lines == [b"7 42"]


def test_temporary_files_can_be_written_and_run(bench: Bench) -> None:
    code = (
        "import os, subprocess, tempfile\nd = tempfile.mkdtemp()\np = os.path.join(d, 'x.sh')\n"
        "open(p, 'w').write('#!/bin/sh\\necho ran\\n'); os.chmod(p, 0o755)\n"
        "print(subprocess.check_output([p]).decode().strip())"
    )
    assert bench.run(code)[0] == [b"ran"]


def test_runs_side_by_side_keep_apart(bench: Bench) -> None:
    def one(number: int) -> tuple[list[bytes], Exit]:
        return bench.run(f"import time\nprint({number}, flush=True)\ntime.sleep(0.3)\nprint({number})")

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(one, range(6)))
    assert found == [([str(n).encode()] * 2, Exit(code=0)) for n in range(6)]


def test_stop_from_another_thread_ends_what_runs_and_what_begins_later(bench: Bench) -> None:
    engine = type(bench.engine)()
    for begun in (False, True):
        with replace(bench, engine=engine).start(FOREVER) as run:
            lines = run.lines()
            if not begun:
                assert next(lines) == b"begun"
                threading.Thread(target=engine.stop).start()
            list(lines)
            assert run.result() == Exit(stopped=True)  # and not timed out
