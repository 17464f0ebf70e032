"""numba's compiler without what takes it long: comparing options, and optimising helpers again and again."""

from __future__ import annotations

from typing import Any

import numba.core.codegen
import numba.core.compiler

__all__ = ["HelperCompiler", "KernelCompiler"]

codegen: Any = numba.core.codegen
compiler: Any = numba.core.compiler


class _Flags(compiler.Flags):  # type: ignore[misc]
    """Options of a compilation, compared as they were given.

    numba compares all that there are, given or not, at every operation: a quarter of its time.
    """

    def __hash__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Flags) and bool(self._values == other._values)


class KernelCompiler(compiler.Compiler):  # type: ignore[misc]
    """A compiler of functions that Python calls."""

    def __init__(self, typing: Any, target: Any, library: Any, *others: Any) -> None:
        *types, flags, names = others
        super().__init__(typing, target, library, *types, _Flags(flags), names)


class HelperCompiler(KernelCompiler):
    """A compiler of functions that only compiled ones call, and that are optimised with those."""

    def __init__(self, typing: Any, target: Any, library: Any, *others: Any) -> None:
        super().__init__(typing, target, _Part(target.codegen(), "helper"), *others)


class _Part(codegen.JITCodeLibrary):  # type: ignore[misc]
    """The code of a helper, which is a part of others' code.

    numba would optimise it, with all that it calls, and make machine code of it: once more at each step of a
    chain of calls.
    """

    def _optimize_final_module(self) -> None:
        """Leave it as it is."""

    def _finalize_final_module(self) -> None:
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Return that there is no machine code."""
        return 0

    @property
    def codegen(self) -> Any:
        """Whom numba tells the place of the constants that Python keeps for machine code."""
        return self

    def set_env(self, name: str, environment: Any) -> None:
        """Do nothing."""
