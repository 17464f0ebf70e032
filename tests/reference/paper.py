"""Affinity propagation as printed: an oracle to be read next to the paper.

B. J. Frey and D. Dueck, "Clustering by passing messages between data points", Science 315, 972-976 (2007).

``s`` is a list of rows. s[i][k] says how well k represents i; the preferences are s[k][k]; where k cannot
represent i there is -inf. Everything is a plain loop, so keep to n <= 40 for messages and n <= 8 for optima.
"""

import math
from itertools import chain, combinations

NO_EDGE = -math.inf


def with_preferences(similarity, preference):
    """Return similarities as a list of rows with the preferences on the diagonal."""
    n = len(similarity)
    return [[float(preference[i]) if i == k else float(similarity[i][k]) for k in range(n)] for i in range(n)]


def messages_at_rest(n):
    """Return r and a before the first sweep: "to begin with, the availabilities are initialized to zero"."""
    return [[0.0] * n for _ in range(n)], [[0.0] * n for _ in range(n)]


def new_responsibility(s, a, i, k):
    """Return equation 1: r(i,k) <- s(i,k) - max over k' != k of { a(i,k') + s(i,k') }."""
    strongest_rival = -math.inf
    for other in range(len(s)):
        if other != k:
            strongest_rival = max(strongest_rival, a[i][other] + s[i][other])
    if s[i][k] == NO_EDGE:
        return -math.inf
    return s[i][k] - strongest_rival


def new_availability(r, i, k):
    """Return equation 2: a(i,k) <- min{ 0, r(k,k) + sum over i' not in {i,k} of max{ 0, r(i',k) } }."""
    support = r[k][k]
    for other in range(len(r)):
        if other not in (i, k):
            support += max(0.0, r[other][k])
    return min(0.0, support)


def new_self_availability(r, k):
    """Return equation 3: a(k,k) <- sum over i' != k of max{ 0, r(i',k) }."""
    support = 0.0
    for other in range(len(r)):
        if other != k:
            support += max(0.0, r[other][k])
    return support


def damped(old, new, damping):
    """Return "damping times its value from the previous iteration plus 1 - damping times its update"."""
    return damping * old + (1.0 - damping) * new


def sweep(s, r, a, damping):
    """Return r and a after one more sweep: first every responsibility, then every availability."""
    n = len(s)
    next_r, next_a = messages_at_rest(n)
    for i in range(n):
        for k in range(n):
            next_r[i][k] = damped(r[i][k], new_responsibility(s, a, i, k), damping)
    for i in range(n):
        for k in range(n):
            new = new_self_availability(next_r, k) if i == k else new_availability(next_r, i, k)
            next_a[i][k] = damped(a[i][k], new, damping)
    return next_r, next_a


def messages(s, n_sweeps, damping):
    """Return r and a, diagonals included, after some sweeps. A row without any rival has r(i,i) = inf."""
    r, a = messages_at_rest(len(s))
    for _ in range(n_sweeps):
        r, a = sweep(s, r, a, damping)
    return r, a


def column_totals(r):
    """Return T, the sums over i != k of max{ 0, r(i,k) }, and D, the r(k,k)."""
    n = len(r)
    return [new_self_availability(r, k) for k in range(n)], [r[k][k] for k in range(n)]


def net_similarity(s, representative):
    """Return what affinity propagation maximises; ``representative[i]`` is the exemplar of point i."""
    return math.fsum(s[i][k] for i, k in enumerate(representative))


def best_exemplar(s, i, exemplars):
    """Return who represents point i: itself if it is an exemplar, else the exemplar most similar to it."""
    return i if i in exemplars else max(exemplars, key=lambda k: s[i][k])


def optimum(s):
    """Return the largest net similarity of any clustering, by trying every set of exemplars."""
    n = len(s)
    best = -math.inf
    for exemplars in chain.from_iterable(combinations(range(n), size) for size in range(1, n + 1)):
        representative = [best_exemplar(s, i, exemplars) for i in range(n)]
        best = max(best, net_similarity(s, representative))
    return best
