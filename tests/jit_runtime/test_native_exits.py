"""Exits of compiled code: what Python sees there, what compiled code sees afterwards, signals, threads, upgrades."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from typing import Any

import numpy as np
import pytest

from lean_agentic.jit_runtime import _native
from lean_agentic.jit_runtime.lir import Mode
from tests.jit_runtime.native_machine import (
    FLOAT,
    INT,
    NONE,
    PENDING,
    Recorder,
    call,
    code,
    data_of,
    list_of,
    machine,
    put,
    slot,
    take,
)

XS = list_of(FLOAT)
SET_5 = slot("xs", 0, "p") + data_of("d", "%xs") + "store double 5.0, ptr %d\n"
READ = data_of("e", "%xs") + "%x = load double, ptr %e\n"
RETURN_STATUS = take("s", 0) + "ret i32 %s"


def answering(answer: Any) -> Any:
    """An answer that does not depend on the state."""
    return lambda state: answer


def test_leave_returns_what_python_returns() -> None:
    handler = Recorder(lambda state: state[0] * 10)
    compiled = code(machine(RETURN_STATUS), [INT], INT, [(Mode.LEAVE, [INT], INT)], handler)
    assert compiled(4) == 40
    assert compiled(2**62) == 10 * 2**62  # pending: it has no machine form
    assert handler.exits == [(0, (4,)), (0, (2**62,))]
    assert compiled.exits_taken == 2


@pytest.mark.parametrize("result", [1.5, True, None, "text", 2**64])
def test_results_of_other_types_are_kept(result: Any) -> None:
    compiled = code(machine(RETURN_STATUS), [], INT, [(Mode.LEAVE, [], INT)], Recorder(answering(result)))
    assert compiled() is result


def failing(error: BaseException) -> Any:
    def answer(state: tuple[Any, ...]) -> Any:
        raise error

    return answer


def test_exceptions_pass_through_and_lists_are_written_back() -> None:
    error = ValueError("no")
    values = [1.0]
    compiled = code(machine(SET_5 + RETURN_STATUS), [XS], XS, [(Mode.LEAVE, [], XS)], Recorder(failing(error)))
    with pytest.raises(ValueError) as caught:
        compiled(values)
    assert caught.value is error
    assert values == [5.0]


def test_python_sees_stores_and_compiled_code_sees_pythons() -> None:
    seen: list[Any] = []

    def answer(state: tuple[Any, ...]) -> None:
        seen.append(list(state[0]))
        state[0][0] = 7.5

    body = SET_5 + take("s", 0) + READ + put("%x", 0, "f") + "ret i32 %s"
    compiled = code(machine(body), [XS], FLOAT, [(Mode.ASK, [XS], NONE)], Recorder(answer))
    values = [1.0]
    assert compiled(values) == 7.5
    assert seen == [[5.0]]
    assert values == [7.5]


def test_asking_about_numbers_leaves_lists_alone() -> None:
    values = [1.0]
    handler = Recorder(lambda state: values[0])  # a peek that the language has no means for
    body = SET_5 + slot("dummy", 1, "i") + f"%two = getelementptr i64, ptr %in, i64 1\n{take('s', 0, '%two')}ret i32 %s"
    compiled = code(machine(body), [XS, INT], FLOAT, [(Mode.ASK, [INT], FLOAT)], handler)
    assert compiled(values, 3) == 1.0
    assert values == [5.0]


def test_a_pending_answer_goes_to_the_exit_behind() -> None:
    body = take("s", 0) + "%p = icmp eq i32 %s, 2\nbr i1 %p, label %behind, label %end\nend:\nret i32 %s\nbehind:\n"
    exits = [(Mode.ASK, [INT], INT), (Mode.LEAVE, [INT, PENDING, ("maybe", FLOAT)], INT)]
    state = "%state = alloca [4 x i64]\nstore i64 3, ptr %state\n%flag = getelementptr i64, ptr %state, i64 1\n"
    state += "store i64 0, ptr %flag\n"
    handler = Recorder(lambda state: state[0] ** 40, lambda state: ("rest", state))
    compiled = code(machine(state + body + take("t", 1, "%state") + "ret i32 %t"), [INT], INT, exits, handler)
    assert compiled(2) == 2**40
    assert compiled(3) == ("rest", (3, 3**40, _native.UNBOUND))


def nested(handler: Recorder, state: list[Any], behind_state: str = "%in") -> _native.Code:
    """A caller with a list whose callee leaves by exit 0; goes on reading the list, or behind the call by exit 1."""
    body = SET_5 + take("s", 0)
    branch = "switch i32 %s, label %raised [i32 0, label %on i32 2, label %behind]\nraised:\nret i32 %s\non:\n"
    after = READ + put("%x", 0, "f") + "ret i32 0\nbehind:\n" + take("t", 1, behind_state, "%out") + "ret i32 %t"
    exits = [(Mode.LEAVE, state, NONE), (Mode.LEAVE, [XS, PENDING], FLOAT)]
    return code(machine(body + branch + after), [XS], FLOAT, exits, handler)


def test_a_callee_that_left_changes_its_callers_lists() -> None:
    def rest(state: tuple[Any, ...]) -> None:
        state[0][0] += 1.0

    values = [1.0]
    assert nested(Recorder(rest), [XS])(values) == 6.0
    assert values == [6.0]


@pytest.mark.parametrize("change", [lambda xs: xs.append(1.0), lambda xs: xs.__setitem__(0, 1), lambda xs: xs.clear()])
def test_callers_of_lists_that_no_longer_fit_go_on_in_python(change: Any) -> None:
    handler = Recorder(lambda state: change(state[0]), lambda state: (state[0], state[1]))
    values = [1.0]
    expected = [5.0]
    change(expected)
    result = nested(handler, [XS])(values)
    assert result == (values, None)
    assert result[0] is values
    assert repr(values) == repr(expected)  # Python's, not overwritten by what compiled code had
    assert [number for number, _ in handler.exits] == [0, 1]


def test_a_list_that_fits_again_is_taken_up_again() -> None:
    def spoil(state: tuple[Any, ...]) -> None:
        state[0][0] = 1

    def mend(state: tuple[Any, ...]) -> float:
        state[0][0] = 8.5
        return 2.5

    body = SET_5 + take("s", 0) + take("t", 1) + READ
    body += "%sum = fadd double %x, 1.0\nstore double %sum, ptr %e\nret i32 %t"
    exits = [(Mode.LEAVE, [XS], NONE), (Mode.LEAVE, [XS], FLOAT)]
    values = [1.0]
    assert code(machine(body), [XS], NONE, exits, Recorder(spoil, mend))(values) is None
    assert values == [9.5]


def test_what_python_stored_before_it_raised_stays() -> None:
    def answer(state: tuple[Any, ...]) -> None:
        state[0][0] = 7.5
        raise ZeroDivisionError

    values, others = [1.0, 2.0], [1.0]
    second = slot("ys", 1, "p") + data_of("f", "%ys") + "store double 3.0, ptr %f\n"
    compiled = code(machine(SET_5 + second + RETURN_STATUS), [XS, XS], NONE, [(Mode.ASK, [XS], NONE)], Recorder(answer))
    with pytest.raises(ZeroDivisionError):
        compiled(values, others)
    assert values == [7.5, 2.0]
    assert others == [3.0]


def test_after_the_outermost_procedure_left_nothing_is_written() -> None:
    def rest(state: tuple[Any, ...]) -> Any:
        assert others == [3.0]  # also lists that the rest does not use are up to date
        state[0][0] = 7.5
        others.append(4.0)
        return state

    values, others = [1.0], [1.0]
    second = slot("ys", 1, "p") + data_of("f", "%ys") + "store double 3.0, ptr %f\n"
    exits = [(Mode.LEAVE, [XS], NONE, True)]
    compiled = code(machine(SET_5 + second + RETURN_STATUS), [XS, XS], NONE, exits, handler := Recorder(rest))
    assert compiled(values, others) is handler.exits[0][1]
    assert values == [7.5]
    assert others == [3.0, 4.0]


def test_new_lists_keep_their_identity_across_exits() -> None:
    state = call("made", "list_new", "0", "1") + "%state = alloca ptr\nstore ptr %made, ptr %state\n"
    again = data_of("d", "%made") + "store double 2.0, ptr %d\n"
    body = state + take("s", 0, "%state") + again + put("%made", 0, "p") + "ret i32 %s"
    handler = Recorder(answering(None))
    made = code(machine(body), [], XS, [(Mode.ASK, [XS], NONE)], handler, lists=[XS])()
    assert handler.exits[0][1][0] is made
    assert made == [2.0]


def test_lists_that_python_puts_into_lists() -> None:
    matrix = list_of(XS)
    fresh = [4.0]

    def answer(state: tuple[Any, ...]) -> None:
        state[0][0] = fresh

    body = slot("rows", 0, "p") + take("s", 0) + data_of("d", "%rows") + "%row = load ptr, ptr %d\n"
    store = data_of("e", "%row") + "store double 6.0, ptr %e\nret i32 %s"
    rows = [[1.0]]
    old = rows[0]
    code(machine(body + store), [matrix], NONE, [(Mode.ASK, [matrix], NONE)], Recorder(answer))(rows)
    assert rows[0] is fresh
    assert (fresh, old) == ([6.0], [1.0])


def test_arrays_from_python_live_until_the_call_ends() -> None:
    vector = ("array", "float64", 1)

    made: list[Any] = []

    def answer(state: tuple[Any, ...]) -> Any:
        array = np.full(1000, 2.5)
        made.append(weakref.ref(array))
        return array

    body = (
        "%r = alloca [5 x i64]\n%q = alloca [5 x i64]\n"
        + take("s", 0, "%in", "%r")
        + take("t", 0, "%in", "%q")
        + slot("d", 1, "p", "%r")
    )
    end = "%x = load double, ptr %d\nstore double %x, ptr %out\nret i32 %t"
    assert code(machine(body + end), [], FLOAT, [(Mode.ASK, [], vector)], Recorder(answer))() == 2.5
    assert [each() for each in made] == [None, None]


def test_mutual_recursion_ends_with_recursion_error() -> None:
    handler = Recorder(lambda state: compiled(state[0] + 1))
    compiled = code(machine(RETURN_STATUS), [INT], INT, [(Mode.LEAVE, [INT], INT)], handler)
    with pytest.raises(RecursionError):
        compiled(0)
    for method in ("mismatch", "stale"):
        setattr(handler, method, lambda arguments: compiled(*arguments))
    with pytest.raises(RecursionError):
        compiled(1.5)
    compiled.set_guards([("dict", {}, "x", 1)])
    with pytest.raises(RecursionError):
        compiled(1)


def test_recursion_error_and_stack_limit() -> None:
    limit = "%a = getelementptr i8, ptr %ctx, i64 8\n%l = load ptr, ptr %a\n%here = alloca i64\n"
    distance = "%x = ptrtoint ptr %here to i64\n%y = ptrtoint ptr %l to i64\n%d = sub i64 %x, %y\n" + put("%d", 0, "i")
    left = code(machine(limit + distance + "ret i32 0"), [], INT)
    assert 0 < left() < 1 << 40
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(left()))
    thread.start()
    thread.join()
    assert 0 < found[0] < 1 << 30
    with pytest.raises(RecursionError):
        code(machine(call("s", "recursion_error") + "ret i32 1"), [], NONE)()


def test_broken_code_is_reported() -> None:
    for body, message in [
        ("ret i32 1", "without an exception"),
        ("ret i32 2", "pending"),
        ("ret i32 9", "status 9"),
        (take("s", 5) + "ret i32 %s", "exit 5"),
    ]:
        with pytest.raises(SystemError, match=message):
            code(machine(body), [], INT)()


# ---- Polls ----


def poll_loop(until: str, exit_number: int = 0) -> str:
    """Loops until `%stop` (text that computes it), polling; an exit that does not go on ends the call."""
    return f"""
    %word.a = load ptr, ptr %ctx
    br label %loop
    loop:
    {until}
    br i1 %stop, label %end, label %next
    next:
    %word = load volatile i32, ptr %word.a
    %due = icmp ne i32 %word, 0
    br i1 %due, label %poll, label %loop
    poll:
    {take("s", exit_number)}
    %on = icmp eq i32 %s, 3
    br i1 %on, label %loop, label %gone
    gone:
    ret i32 %s
    end:
    ret i32 0
    """


UNTIL_FLAG = "%flag = load volatile i64, ptr %d\n%stop = icmp ne i64 %flag, 0\n"
FLAG = slot("d", 1, "p")
VECTOR = ("array", "int64", 1)


def waiting(handler: Any = None, exits: Any = None) -> _native.Code:
    """Runs until the first element of an array is not 0."""
    exits = exits or [(Mode.POLL, [VECTOR], NONE)]
    return code(machine(FLAG + poll_loop(UNTIL_FLAG)), [VECTOR], NONE, exits, handler)


def test_long_calls_let_other_threads_run() -> None:
    flag = np.zeros(1, np.int64)

    def end_it() -> None:
        for _ in range(1000):
            pass
        flag[0] = 1

    threading.Thread(target=end_it).start()
    waiting()(flag)


def test_threads_wait_side_by_side() -> None:
    flag = np.zeros(1, np.int64)
    compiled = waiting()
    threads = [threading.Thread(target=compiled, args=(flag,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.02)
    flag[0] = 1
    for thread in threads:
        thread.join()
    assert compiled.calls == 4
    assert compiled.native_ns > 0
    assert compiled.exits_taken == 0


def test_signals_end_long_calls_and_lists_are_written_back() -> None:
    class Stop(Exception):
        pass

    def stop(number: int, frame: Any) -> None:
        raise Stop

    values, flag = [1.0], np.zeros(1, np.int64)
    body = SET_5 + slot("f", 2, "p") + poll_loop(UNTIL_FLAG.replace("%d", "%f"))
    compiled = code(machine(body), [XS, VECTOR], NONE, [(Mode.POLL, [XS], NONE)])
    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(Stop):
            compiled(values, flag)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert values == [5.0]


def test_an_upgrade_takes_over() -> None:
    flag = np.zeros(1, np.int64)
    handler = Recorder(lambda state: ("taken over", state[0]))
    compiled = waiting(handler)
    threading.Timer(0.02, compiled.request_upgrade).start()
    assert compiled(flag) == ("taken over", flag)


def test_go_on_goes_on_with_lists_read_again() -> None:
    def answer(state: tuple[Any, ...]) -> Any:
        assert state[0] == [5.0]
        state[0][0] = 1.0
        return _native.GO_ON

    body = SET_5 + poll_loop(
        data_of("e", "%xs") + "%x = load volatile double, ptr %e\n%stop = fcmp oeq double %x, 1.0\n"
    )
    compiled = code(machine(body), [XS], NONE, [(Mode.POLL, [XS], NONE)], handler := Recorder(answer))
    compiled.request_upgrade()
    values = [3.0]
    compiled(values)
    assert values == [1.0]
    assert len(handler.exits) == 1


def test_go_on_with_a_list_that_no_longer_fits_is_an_error() -> None:
    def answer(state: tuple[Any, ...]) -> Any:
        state[0].append("x")
        return _native.GO_ON

    compiled = code(
        machine(SET_5 + poll_loop("%stop = icmp eq i64 0, 1\n")),
        [XS],
        NONE,
        [(Mode.POLL, [XS], NONE)],
        Recorder(answer),
    )
    compiled.request_upgrade()
    with pytest.raises(RuntimeError, match="leave a list alone"):
        compiled(values := [3.0])
    assert values == [5.0, "x"]


def test_asking_after_the_gil_was_let_go() -> None:
    body = slot("f", 0, "i") + "%turns = alloca i64\nstore i64 0, ptr %turns\n"
    count = "%n = load volatile i64, ptr %turns\n%n1 = add i64 %n, 1\nstore volatile i64 %n1, ptr %turns\n"
    count += "%stop = icmp eq i64 %n, 30000000\n"
    text = body + poll_loop(count).replace("end:\n    ret i32 0", "end:\n" + take("t", 1) + "ret i32 %t")
    exits = [(Mode.POLL, [], NONE), (Mode.ASK, [INT], INT)]
    assert code(machine(text), [INT], INT, exits, Recorder(None, lambda state: state[0] + 1))(41) == 42


def run_script(script: str, *extra: str) -> subprocess.CompletedProcess[str]:
    head = "from tests.jit_runtime.test_native_exits import *\n"
    return subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(script), *extra],
        capture_output=True, text=True, timeout=60, cwd=os.getcwd(), env={**os.environ, "PYTHONPATH": os.getcwd()},
    )  # fmt: skip


def test_keyboard_interrupt() -> None:
    done = run_script("""
        threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        try:
            waiting()(np.zeros(1, np.int64))
        except KeyboardInterrupt:
            print("interrupted")
    """)
    assert done.stdout == "interrupted\n", done.stderr


def test_forked_children_have_a_ticker_of_their_own() -> None:
    done = run_script("""
        def run():
            flag = np.zeros(1, np.int64)
            threading.Timer(0.03, lambda: flag.__setitem__(0, 1)).start()
            waiting()(flag)
        run()
        child = os.fork()
        run()
        if child:
            assert os.waitpid(child, 0)[1] == 0
            print("both")
    """)
    assert done.stdout == "both\n", done.stderr


def test_an_idle_ticker_is_woken() -> None:
    flag = np.zeros(1, np.int64)
    for _ in range(3):
        flag[0] = 0
        threading.Timer(0.01, lambda: flag.__setitem__(0, 1)).start()
        waiting()(flag)
        time.sleep(0.05)


VECTOR_OF_FLOATS = ("array", "float64", 1)
ARRAYS_IN_A_LOOP = (
    "%r = alloca [5 x i64]\n%q = alloca [5 x i64]\n"
    + take("s", 0, "%in", "%r")
    + "br label %loop\nloop:\n%k = phi i64 [0, %begin], [%k1, %loop]\n"
    + take("t", 0, "%in", "%q")
    + "%k1 = add i64 %k, 1\n%done = icmp eq i64 %k1, 5000\nbr i1 %done, label %end, label %loop\nend:\n"
    + slot("d", 1, "p", "%r")
    + "%x = load double, ptr %d\nstore double %x, ptr %out\nret i32 0"
)
LISTS_IN_A_LOOP = (
    call("kept", "list_new", "0", "3")
    + data_of("d", "%kept")
    + """store i64 77, ptr %d
    br label %loop
    loop:
    %k = phi i64 [0, %begin], [%k1, %loop]"""
    + call("made", "list_new", "0", "100000")
    + """%k1 = add i64 %k, 1
    %done = icmp eq i64 %k1, 5000
    br i1 %done, label %end, label %loop
    end:
    """
    + data_of("e", "%kept")
    + "%x = load i64, ptr %e\n"
    + put("%x", 0, "i")
    + "ret i32 0"
)


def test_lists_lost_in_a_loop_are_freed() -> None:
    done = run_script("""
        import resource
        compiled = code(machine(LISTS_IN_A_LOOP), [], INT, lists=[list_of(INT)])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert compiled() == 77
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024 < 400)  # MB, of 4000 made
    """)
    assert done.stdout == "True\n", done.stderr


def test_arrays_lost_in_a_loop_are_freed() -> None:
    done = run_script("""
        import resource
        exits = [(Mode.ASK, [], VECTOR_OF_FLOATS)]
        handler = Recorder(lambda state: np.full(100_000, 2.5))
        compiled = code(machine(ARRAYS_IN_A_LOOP), [], FLOAT, exits, handler)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert compiled() == 2.5
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024 < 400)  # MB, of 4000 made
    """)
    assert done.stdout == "True\n", done.stderr
