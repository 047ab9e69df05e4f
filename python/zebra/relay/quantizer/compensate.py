"""Rounding weights so that errors cancel: what a column loses, later ones make good.

For weights w of one output channel, levels s * q and inputs with covariance H, the
output's error is d H d^T with d = w - s q. With H = U^T U, U upper triangular, it is the
sum over taps j of (U_jj d_j + sum over i > j of U_ji d_i)^2, and from the last tap to the
first each is rounded to where its term is least. These are the levels of
error-compensated rounding (Frantar et al. 2022, GPTQ, arXiv 2210.17323; after Hassibi
and Stork 1993), in Babai's form (1986, "On Lovasz' lattice reduction"), which needs no
inverse of H. Taps with the largest H_jj come last, so they are rounded first. No
rounding is taken that leaves a channel with a larger error than rounding to nearest.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from zebra.relay.quantizer.evaluate import Array
from zebra.relay.quantizer.integer_layer import WEIGHT_MAX

BLOCK = 32
ATTEMPTS = 4


def compensated(weight: Array, scale: Array, covariance: Array, damping: float) -> Array:
    """Levels float64 [G, K, T] of ``weight`` [G, K, T] in steps of ``scale`` [G, K].

    ``covariance`` [G, T, T]; ``damping`` times its mean diagonal is added to it.
    """
    damped = damp(covariance.astype(np.float32), damping)
    order = np.argsort(np.einsum("gtt->gt", damped), axis=1, kind="stable")
    group = np.arange(len(order))[:, None]
    factor = np.stack([_factor(h[np.ix_(o, o)]) for h, o in zip(damped, order, strict=True)])
    rows = np.ascontiguousarray(weight.swapaxes(1, 2)[group, order], np.float32)
    step = scale[:, None].astype(np.float32)
    levels, error = _in_order(rows, step, factor)
    plain = _round(rows / step)
    worse = error > np.square(factor @ (rows - plain * step)).sum(axis=1)
    found = np.empty(rows.shape)
    found[group, order] = np.where(worse[:, None], plain, levels)
    return np.ascontiguousarray(found.swapaxes(1, 2))


def damp(covariance: Array, damping: float) -> Array:
    """The covariance with a diagonal that makes it positive definite."""
    diagonal = np.einsum("gtt->gt", covariance).mean(axis=1)
    added = np.where(diagonal > 0, damping * diagonal, 1)
    damped = covariance.copy()
    np.einsum("gtt->gt", damped)[...] += added[:, None]
    return damped


def _round(ratio: Array) -> Array:
    return np.minimum(np.maximum(np.rint(ratio), -WEIGHT_MAX), WEIGHT_MAX)


def _factor(covariance: Array) -> Array:
    """U of H = U^T U; with a larger diagonal where rounding made H indefinite."""
    for _ in range(ATTEMPTS):
        try:
            return np.asarray(scipy.linalg.cholesky(covariance))
        except scipy.linalg.LinAlgError:
            covariance = damp(covariance[None], 1.0)[0]
    return np.eye(len(covariance), dtype=covariance.dtype)


def _in_order(weight: Array, scale: Array, factor: Array) -> tuple[Array, Array]:
    """Levels of ``weight`` [G, T, K], BLOCK taps at a time, and their errors [G, K]."""
    diagonal, step = np.einsum("gtt->gt", factor)[..., None], scale[:, 0]
    levels, off = np.empty_like(weight), np.empty_like(weight)
    error = np.zeros((len(weight), weight.shape[2]), weight.dtype)
    for stop in range(weight.shape[1], 0, -BLOCK):
        part = slice(max(stop - BLOCK, 0), stop)
        inner = factor[:, part, part] / diagonal[:, part]
        aim = weight[:, part] + factor[:, part, stop:] @ off[:, stop:] / diagonal[:, part]
        for j in range(stop - 1, part.start - 1, -1):
            k = j - part.start
            aim[:, k] += (inner[:, None, k, k + 1 :] @ off[:, j + 1 : stop])[:, 0]
            levels[:, j] = _round(aim[:, k] / step)
            off[:, j] = weight[:, j] - levels[:, j] * step
        error += np.square((aim - levels[:, part] * scale) * diagonal[:, part]).sum(axis=1)
    return levels, error
