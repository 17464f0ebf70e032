"""Similarities that are neither symmetric nor complete: `python examples/precomputed.py`.

Frey & Dueck chose sentences that stand for a text: the similarity of a sentence to a candidate is minus the
cost of spelling it with the candidate's words. A long sentence explains a short one better than the other way
round, and sentences without a common word are no candidates for each other, so they have no edge.
"""

import numpy as np
import scipy.sparse

from sparse_ap import affinity_propagation

sentences = [
    "the cat sat on the mat",
    "the cat sat",
    "the cat slept on the mat and the dog slept by the door",
    "a dog slept by the door",
    "interest rates rose again",
    "the bank said that interest rates rose again this month",
    "rates rose this month",
    "it snows",
]
FOUND, NOT_FOUND = 1.0, 4.0  # what a word costs that the candidate has, and one that it lacks
EXEMPLAR = 12.0  # what it costs to be an exemplar

words = [sentence.split() for sentence in sentences]
rows, columns, similarities = [], [], []
for i, spelled in enumerate(words):
    for k, candidate in enumerate(words):
        if i != k and set(spelled) & set(candidate):
            rows.append(i)
            columns.append(k)
            similarities.append(-sum(FOUND if word in candidate else NOT_FOUND for word in spelled))

n = len(sentences)
graph = scipy.sparse.coo_array((np.array(similarities), (rows, columns)), shape=(n, n))
clustering = affinity_propagation(graph, preference=-EXEMPLAR)

print(f"{graph.nnz} of {n * (n - 1)} similarities, net similarity {clustering.net_similarity:g}")
for label, k in enumerate(clustering.exemplars):
    print(f"\n{sentences[k]}")
    for i in np.flatnonzero(clustering.labels == label):
        if i != k:
            print(f"    {sentences[i]}")
