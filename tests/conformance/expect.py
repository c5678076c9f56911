"""Expectations that say what was seen instead."""

import contextlib


def expect(condition, message):
    """Like `assert`, with a message that tells what was seen; never optimised away."""
    if not condition:
        raise AssertionError(message)


def expect_equal(actual, wanted, what):
    expect(actual == wanted, f"{what}: {actual!r} instead of {wanted!r}")


def expect_same(actual, wanted, what):
    """Equal documents; says only where they differ."""
    keys = actual.keys() | wanted.keys()
    differing = {key: (actual.get(key), wanted.get(key)) for key in keys if actual.get(key) != wanted.get(key)}
    expect(not differing, f"{what} differs: {differing}")


@contextlib.contextmanager
def expect_error(kind, containing=""):
    try:
        yield
    except kind as error:
        expect(containing in str(error), f"the error says {error}, not {containing!r}")
        return
    raise AssertionError(f"no {kind.__name__} was raised")
