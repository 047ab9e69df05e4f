"""Rounding weights so that errors cancel: what a column loses, later ones make good.

For weights w of one output channel, levels s * q and inputs with covariance H, the
output's error is (w - s q) H (w - s q)^T. Column after column is rounded, and its
error e_j = (w_j - s q_j) / U_jj is taken from the columns to come, w -= e_j U_j, with
H^-1 = U^T U, U upper triangular (Frantar et al. 2022, GPTQ, arXiv 2210.17323; after
Hassibi and Stork 1993). Columns with the largest H_jj come first. No rounding is taken
that leaves a channel with a larger error than rounding to nearest.
"""

from __future__ import annotations

import numpy as np

from zebra.relay.quantizer.evaluate import Array
from zebra.relay.quantizer.integer_layer import WEIGHT_MAX

BLOCK = 64
ATTEMPTS = 4


def compensated(weight: Array, scale: Array, covariance: Array, damping: float) -> Array:
    """Levels float64 [G, K, T] of ``weight`` [G, K, T] in steps of ``scale`` [G, K].

    ``covariance`` [G, T, T]; ``damping`` times its mean diagonal is added to it.
    """
    damped = damp(covariance, damping)
    order = np.argsort(-np.einsum("gtt->gt", damped), axis=1, kind="stable")[:, None, :]
    rows = np.take_along_axis(damped, order.swapaxes(1, 2), axis=1)
    ordered = np.take_along_axis(rows, order, axis=2)
    done = _in_order(np.take_along_axis(weight, order, axis=2), scale, ordered)
    levels = np.empty_like(weight)
    np.put_along_axis(levels, np.broadcast_to(order, weight.shape), done, axis=2)
    plain = _round(weight / scale[..., None])
    worse = _errors(weight, scale, levels, damped) > _errors(weight, scale, plain, damped)
    return np.where(worse[..., None], plain, levels)


def damp(covariance: Array, damping: float) -> Array:
    """The covariance with a diagonal that makes it positive definite."""
    diagonal = np.einsum("gtt->gt", covariance).mean(axis=1)
    added = np.where(diagonal > 0, damping * diagonal, 1.0)
    return np.asarray(covariance + added[:, None, None] * np.eye(covariance.shape[1]))


def _errors(weight: Array, scale: Array, levels: Array, covariance: Array) -> Array:
    """[G, K]: the expected squared error of each output channel."""
    off = weight - levels * scale[..., None]
    return np.asarray((np.matmul(off, covariance) * off).sum(axis=2))


def _round(ratio: Array) -> Array:
    return np.clip(np.rint(ratio), -WEIGHT_MAX, WEIGHT_MAX)


def _factor(covariance: Array) -> Array:
    """U of H^-1 = U^T U; with a larger diagonal where rounding made H indefinite."""
    for _ in range(ATTEMPTS):
        try:
            return np.asarray(np.linalg.cholesky(np.linalg.inv(covariance)).swapaxes(1, 2))
        except np.linalg.LinAlgError:
            covariance = damp(covariance, 1.0)
    return np.broadcast_to(np.eye(covariance.shape[1]), covariance.shape)


def _in_order(weight: Array, scale: Array, covariance: Array) -> Array:
    """Levels [G, K, T], columns from the first to the last, BLOCK columns at a time."""
    factor = _factor(covariance)
    left, levels = weight.copy(), np.empty_like(weight)
    taps = weight.shape[2]
    for start in range(0, taps, BLOCK):
        stop = min(start + BLOCK, taps)
        errors = np.empty((*scale.shape, stop - start))
        for j in range(start, stop):
            levels[..., j] = _round(left[..., j] / scale)
            error = (left[..., j] - levels[..., j] * scale) / factor[:, j, j, None]
            left[..., j:stop] -= error[..., None] * factor[:, None, j, j:stop]
            errors[..., j - start] = error
        left[..., stop:] -= np.matmul(errors, factor[:, start:stop, stop:])
    return levels
