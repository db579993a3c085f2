"""Bytes at an address and bits of a number: what NumPy's arrays cannot say, or not without being counted.

Text comes in buffers that belong to Arrow. A piece of it is named by one word: its address in the lower 48
bits, its length in the upper 16. Whoever holds such words must keep the buffers alive.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

_BYTE, _HALF, _WORD, _DOUBLE = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.DoubleType()


def _load(builder: Any, address: Any, kind: Any) -> Any:
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=1)


@intrinsic
def load_byte(typing_context: Any, address: Any) -> Any:
    """Return the byte at an address, as uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.zext(_load(builder, arguments[0], _BYTE), _WORD)

    return types.uint64(types.uint64), generate


@intrinsic
def load_half(typing_context: Any, address: Any) -> Any:
    """Return four bytes, little-endian, as uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.zext(_load(builder, arguments[0], _HALF), _WORD)

    return types.uint64(types.uint64), generate


@intrinsic
def load_word(typing_context: Any, address: Any) -> Any:
    """Return eight bytes, little-endian, as uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _load(builder, arguments[0], _WORD)

    return types.uint64(types.uint64), generate


@intrinsic
def store_word(typing_context: Any, address: Any, word: Any) -> Any:
    """Write eight bytes, little-endian."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[1], builder.inttoptr(arguments[0], _WORD.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64), generate


@intrinsic
def two_words(typing_context: Any) -> Any:
    """Return the address of two words of its own, which are there until the function that calls this returns."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        room = cgutils.alloca_once(builder, ir.ArrayType(_WORD, 2))
        return builder.ptrtoint(room, _WORD)

    return types.uint64(), generate


@intrinsic
def swap_bytes(typing_context: Any, word: Any) -> Any:
    """Return a word with its bytes in the opposite order: big-endian words sort as their bytes do."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bswap(arguments[0])

    return types.uint64(types.uint64), generate


@intrinsic
def as_bits(typing_context: Any, number: Any) -> Any:
    """Return the 64 bits of a float64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], _WORD)

    return types.uint64(types.float64), generate


@intrinsic
def as_number(typing_context: Any, bits: Any) -> Any:
    """Return the float64 of 64 bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], _DOUBLE)

    return types.float64(types.uint64), generate


@intrinsic
def stream_line(typing_context: Any, source: Any, start: Any, target: Any, at: Any) -> Any:
    """Copy the eight words source[start:] to target[at:], past the caches: what lies there is not read first.

    Both places must begin at a multiple of 64 bytes. Others see it after `fence`.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        line = ir.VectorType(_WORD, 8).as_pointer()
        places = [
            builder.bitcast(
                builder.gep(context.make_array(kind)(context, builder, array).data, [place]),
                line,
            )
            for kind, array, place in zip(signature.args[::2], arguments[::2], arguments[1::2], strict=True)
        ]
        store = builder.store(builder.load(places[0], align=64), places[1], align=64)
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(_HALF, 1)]))
        return context.get_dummy_value()

    return types.void(source, types.uint64, target, types.uint64), generate


@intrinsic
def fence(typing_context: Any) -> Any:
    """Let others see all that was written before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate
