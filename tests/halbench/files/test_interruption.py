"""SIGTERM and SIGHUP: an exception, once, that waits for what must be complete."""

import os
import signal
import threading

import pytest

from halbench.files.interruption import Interrupted, interruptible, uninterrupted


def send(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_block_like_ctrl_c_with_a_code_of_its_own(number, code):
    earlier = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt) as ended, interruptible():
        send(number)
    assert ended.value.code == code
    assert signal.getsignal(number) == earlier


def test_a_row_in_progress_is_completed_first():
    done = []

    def work():
        with interruptible(), uninterrupted() as ending:
            with uninterrupted():
                send()
                done.append(ending())
            done.append("outer block")

    with pytest.raises(Interrupted):
        work()
    assert done == [True, "outer block"]


def test_a_second_signal_does_not_tear_the_cleaning_up():
    cleaned = []

    def work():
        with interruptible():
            try:
                send()
            finally:
                send(signal.SIGHUP)
                send()
                cleaned.append(True)

    with pytest.raises(Interrupted):
        work()
    assert cleaned == [True]


def test_what_fails_in_consequence_of_the_signal_is_no_failure_of_its_own():
    def work():
        with interruptible(), uninterrupted():
            send()
            raise RuntimeError("a worker was killed by the same signal")

    with pytest.raises(Interrupted):
        work()
    with pytest.raises(RuntimeError, match="before"), interruptible():
        raise RuntimeError("before any signal")


def test_a_signal_that_is_ignored_stays_ignored_as_nohup_wants_it():
    earlier = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            send(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, earlier)


def test_a_thread_may_open_both_blocks():
    def work():
        with interruptible(), uninterrupted() as ending:
            seen.append(ending())

    seen = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
