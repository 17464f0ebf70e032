"""The exceptions and warnings of sparse_ap, with their texts.

Every message says what was given, what was needed, and what to do.
"""

from __future__ import annotations

import warnings

__all__ = ["InvalidInputError", "MissingDependencyError", "SparseAPError"]


class SparseAPError(Exception):
    """Base of every error that sparse_ap raises on purpose."""


class InvalidInputError(SparseAPError, ValueError):
    """An argument cannot be used; the message says what was needed instead."""


class MissingDependencyError(SparseAPError, ImportError):
    """An optional package is needed for what was asked; the message names the extra."""

    @classmethod
    def of(cls, purpose: str, package: str, extra: str) -> MissingDependencyError:
        """Build the error for ``purpose``, which needs ``package`` from the extra ``extra``."""
        return cls(f"{purpose} needs {package}, which is not installed: pip install 'sparse-ap[{extra}]'")


def warn_not_converged(advice: str) -> None:
    """Issue scikit-learn's ``ConvergenceWarning``, so that filters written for it keep working."""
    # Imported here: scikit-learn costs more to import than the rest of this package together.
    from sklearn.exceptions import ConvergenceWarning

    warnings.warn(advice, ConvergenceWarning, stacklevel=4)
