"""Encoded tables and instructions, read back by `dis`."""

from __future__ import annotations

import dis
from types import CodeType

from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.jit_runtime import bytecode
from lean_agentic.jit_runtime.bytecode import Handler


def sample(a, b):
    total = a
    for i in range(b):
        total += i

    return total


def code_with(**changes: object) -> CodeType:
    return sample.__code__.replace(**changes)


def test_instructions_have_their_caches_and_wide_arguments() -> None:
    raw = bytecode.instructions("RESUME", "PUSH_NULL", ("LOAD_CONST", 300), ("CALL", 2), "RETURN_VALUE")
    read = list(dis.get_instructions(code_with(co_code=raw, co_consts=tuple(range(301)), co_linetable=b"")))
    assert [each.opname for each in read] == [
        "RESUME",
        "PUSH_NULL",
        "EXTENDED_ARG",
        "LOAD_CONST",
        "CALL",
        "RETURN_VALUE",
    ]
    assert read[3].argval == 300
    assert read[5].offset - read[4].offset == 10


def test_the_body_begins_behind_resume() -> None:
    def outer(x):
        def inner():
            return x

        return inner

    for code in (sample.__code__, outer.__code__, outer(1).__code__):
        before = [each for each in dis.get_instructions(code) if each.offset < bytecode.body_start(code.co_code)]
        assert before[-1].opname == "RESUME"


@given(
    st.lists(
        st.tuples(st.integers(0, 5000), st.integers(1, 5000), st.integers(0, 9000), st.integers(0, 40)), min_size=1
    )
)
def test_exception_tables_read_back(entries: list[tuple[int, int, int, int]]) -> None:
    handlers = [Handler(2 * a, 2 * (a + n), 2 * t, depth) for a, n, t, depth in entries]
    table = bytecode.exception_table(handlers)
    read = dis._parse_exception_table(code_with(co_exceptiontable=table))
    assert [(each.start, each.end, each.target, each.depth, each.lasti) for each in read] == [
        (*handler, True) for handler in handlers
    ]


@given(st.integers(1, 60), st.integers(-5, 3000))
def test_lines_read_back(units: int, delta: int) -> None:
    raw = bytecode.instructions(*["NOP"] * units)
    code = code_with(co_code=raw, co_linetable=bytecode.one_line(2 * units, delta), co_exceptiontable=b"")
    assert {line for _, _, line in code.co_lines()} == {code.co_firstlineno + delta}
    unlined = code.replace(co_linetable=bytecode.no_lines(2 * units))
    assert {line for _, _, line in unlined.co_lines()} == {None}


def test_a_line_table_is_split_between_instructions() -> None:
    code = sample.__code__
    for each in dis.get_instructions(code):
        cut = bytecode.split_lines(code.co_linetable, each.offset)
        head = code.replace(co_linetable=code.co_linetable[:cut])
        positions = list(code.co_positions())[: each.offset // 2]
        assert list(head.co_positions())[: each.offset // 2] == positions


def test_the_last_line_is_where_further_entries_count_from() -> None:
    code = sample.__code__
    longer = code.replace(
        co_code=code.co_code + bytecode.instructions("NOP"),
        co_linetable=code.co_linetable + bytecode.one_line(2, code.co_firstlineno - bytecode.last_line(code)),
    )
    assert list(longer.co_positions())[-1][0] == code.co_firstlineno
