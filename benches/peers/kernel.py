"""ICPC in Python, beside Sojourn's kernel: prints one JSON object.

usage: kernel.py lists|numpy|sklearn FILE EPSILON [--seconds 10] [--rounds 3]
       kernel.py --check

FILE holds histories, all numbers little endian: u32 users; of each user u32 items; of each item, in the
order of time, u32 terms; of each term u32 number, f32 weight. The vectors are of unit length, as far as
f32 goes, no term is twice in one, and weights are above 0.

Every method finds what the walk of src/journey/icpc.rs finds: an item joins the journey S to which
v . S / |S| is highest, if that is EPSILON (as f32) or more, the oldest of equal ones; else it opens one.
Items without terms are left out. Sums are f64; numpy and scikit-learn add in another order, so that the
last bit of a similarity may be another one.

    lists    plain Python: from each term to the journeys that have it
    numpy    rows of a dense matrix, from each term to all journeys
    sklearn  cosine_similarity of the item and the matrix of all sums, the obvious way

Only the walk is timed: reading the file, numbering a user's terms and laying out vectors are not. One
user follows the other until --seconds are over, the first one is always done; the object says how many
users that were, and the hash is over these. Rounds after the first do the same users, while there is
time. `kernel.py --check` tries all methods on a few items."""

import argparse
import array
import gc
import hashlib
import json
import math
import os
import pathlib
import platform
import random
import struct
import sys
import tempfile
import time

# One thread, as Sojourn's kernel has; for vectors as short as these more of them are slower.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

try:
    import numpy
    import sklearn
    from scipy import sparse
    from sklearn.metrics.pairwise import cosine_similarity
except ImportError as error:
    sys.exit(f"{error.name} is missing: run scripts/bench/install, and .tools/journeys/bin/python")

# Journeys that there is room for at first; doubled whenever there are more.
ROOM = 16
# A user with more terms than this gets a sparse matrix of sums for scikit-learn, which is faster there.
DENSE_TERMS = 2000


class Lists:
    """Plain Python with inverted lists: the sums as term -> {journey: weight}."""

    version = f"Python {platform.python_version()}"

    @staticmethod
    def layout(history):
        return [vector for vector in history if vector]

    @staticmethod
    def walk(vectors, epsilon):
        sums, squares, lengths, assignments = {}, [], [], []
        for vector in vectors:
            dots = {}
            square = 0.0
            for term, weight in vector:
                square += weight * weight
                journeys = sums.get(term)
                if journeys:
                    for journey, sum in journeys.items():
                        dots[journey] = dots.get(journey, 0.0) + weight * sum
            nearest, most = None, epsilon
            for journey, dot in dots.items():
                similarity = dot / lengths[journey]
                if similarity > most:
                    nearest, most = journey, similarity
                elif similarity == most and (nearest is None or journey < nearest):
                    nearest = journey
            if nearest is None:
                nearest = len(squares)
                squares.append(square)
                lengths.append(math.sqrt(square))
                for term, weight in vector:
                    if term in sums:
                        sums[term][nearest] = weight
                    else:
                        sums[term] = {nearest: weight}
            else:
                for term, weight in vector:
                    journeys = sums.get(term)
                    if journeys is None:
                        sums[term] = {nearest: weight}
                    else:
                        journeys[nearest] = journeys.get(nearest, 0.0) + weight
                squares[nearest] += 2.0 * dots[nearest] + square
                lengths[nearest] = math.sqrt(squares[nearest])
            assignments.append(nearest)
        return assignments


class Arrays:
    """Vectors as arrays, with a user's terms numbered as they are met."""

    @staticmethod
    def layout(history):
        numbers, vectors = {}, []
        for vector in history:
            if vector:
                terms = [numbers.setdefault(term, len(numbers)) for term, _ in vector]
                weights = numpy.array([weight for _, weight in vector])
                vectors.append((numpy.array(terms, dtype=numpy.intp), weights, float(weights @ weights)))
        return vectors, len(numbers)


class Numpy(Arrays):
    """The sums as a matrix of terms and journeys, so that the rows of an item's terms are all that is
    read. Lists of indices per term, rows of journeys, and dense items were tried and are slower."""

    version = f"numpy {numpy.__version__}"

    @staticmethod
    def walk(layout, epsilon):
        vectors, terms_in_all = layout
        sums = numpy.zeros((terms_in_all, ROOM))
        lengths = numpy.zeros(ROOM)
        squares, assignments = [], []
        for terms, weights, square in vectors:
            count = len(squares)
            nearest = count
            if count:
                dots = weights @ sums.take(terms, axis=0)[:, :count]
                similarities = dots / lengths[:count]
                most = int(similarities.argmax())
                if similarities[most] >= epsilon:
                    nearest = most
            if nearest == count:
                if count == len(lengths):
                    sums = numpy.concatenate([sums, numpy.zeros_like(sums)], axis=1)
                    lengths = numpy.concatenate([lengths, numpy.zeros_like(lengths)])
                squares.append(square)
            else:
                squares[nearest] += 2.0 * float(dots[nearest]) + square
            sums[terms, nearest] += weights
            lengths[nearest] = math.sqrt(squares[nearest])
            assignments.append(nearest)
        return assignments


class Sklearn(Arrays):
    """What one would write first. scikit-learn is told that it need not look for NaN in each call."""

    version = f"scikit-learn {sklearn.__version__}"

    @staticmethod
    def walk(layout, epsilon):
        vectors, terms_in_all = layout
        walk = Sklearn.dense if terms_in_all <= DENSE_TERMS else Sklearn.sparse
        with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
            return walk(vectors, terms_in_all, epsilon)

    @staticmethod
    def nearest(item, square, sums, epsilon):
        """None if no journey is near. The similarity of ICPC is of the item as it is, whose length is 1
        only as far as f32 goes."""
        similarities = cosine_similarity(item, sums)[0] * math.sqrt(square)
        most = int(similarities.argmax())
        return most if similarities[most] >= epsilon else None

    @staticmethod
    def dense(vectors, terms_in_all, epsilon):
        sums, count, assignments = numpy.zeros((ROOM, terms_in_all)), 0, []
        for terms, weights, square in vectors:
            item = numpy.zeros((1, terms_in_all))
            item[0, terms] = weights
            nearest = Sklearn.nearest(item, square, sums[:count], epsilon) if count else None
            if nearest is None:
                nearest = count
                count += 1
                if count > len(sums):
                    sums = numpy.concatenate([sums, numpy.zeros_like(sums)])
            sums[nearest] += item[0]
            assignments.append(nearest)
        return assignments

    @staticmethod
    def sparse(vectors, terms_in_all, epsilon):
        sums, assignments = [], []
        for terms, weights, square in vectors:
            item = sparse.csr_matrix((weights, terms, [0, len(terms)]), shape=(1, terms_in_all))
            nearest = None
            if sums:
                matrix = sparse.vstack(sums, format="csr")
                nearest = Sklearn.nearest(item, square, matrix, epsilon)
            if nearest is None:
                nearest = len(sums)
                sums.append(item)
            else:
                sums[nearest] = sums[nearest] + item
            assignments.append(nearest)
        return assignments


METHODS = {"lists": Lists, "numpy": Numpy, "sklearn": Sklearn}


class Histories:
    """The users of a file, read when they are asked for: a slow method gets to few of them."""

    def __init__(self, path):
        try:
            self.file = open(path, "rb")
        except OSError as error:
            sys.exit(f"{path}: {error.strerror}")
        self.path = path
        self.users = self.number()

    def take(self, length):
        taken = self.file.read(length)
        if len(taken) != length:
            sys.exit(f"{self.path}: the file ends in the middle of a history")
        return taken

    def number(self):
        return struct.unpack("<I", self.take(4))[0]

    def __iter__(self):
        for _ in range(self.users):
            yield [self.vector() for _ in range(self.number())]

    def vector(self):
        return list(struct.iter_unpack("<If", self.take(8 * self.number())))


def timed(method, layout, epsilon):
    begun = time.perf_counter()
    assignments = method.walk(layout, epsilon)
    return assignments, time.perf_counter() - begun


def measured(name, path, epsilon, seconds=10.0, rounds=1):
    method, histories = METHODS[name], Histories(path)
    # Comparisons are with what Sojourn's parameter holds.
    epsilon = struct.unpack("<f", struct.pack("<f", epsilon))[0]
    layouts, digest, items, best = [], hashlib.sha256(), 0, 0.0
    # Nothing that is made here is part of a cycle.
    gc.disable()
    for history in histories:
        layouts.append(method.layout(history))
        assignments, took = timed(method, layouts[-1], epsilon)
        numbers = array.array("I", assignments)
        if sys.byteorder == "big":
            numbers.byteswap()
        digest.update(numbers.tobytes())
        items += len(assignments)
        best += took
        if best >= seconds:
            break
    last, left, done = best, seconds - best, 1
    while done < rounds and last <= left:
        last = sum(timed(method, layout, epsilon)[1] for layout in layouts)
        best, left, done = min(best, last), left - last, done + 1
    return {
        "method": name,
        "version": method.version,
        "users": len(layouts),
        "users_in_file": histories.users,
        "items": items,
        "seconds": best,
        "rounds": done,
        "assignments_sha256": digest.hexdigest(),
    }


def pack(histories):
    parts = [struct.pack("<I", len(histories))]
    for history in histories:
        parts.append(struct.pack("<I", len(history)))
        for vector in history:
            parts.append(struct.pack("<I", len(vector)))
            parts += [struct.pack("<If", *entry) for entry in vector]
    return b"".join(parts)


def vector(rng, terms):
    """Weights of chance, so that no two similarities are equal but for rounding."""
    weights = [rng.uniform(0.2, 1.0) for _ in terms]
    length = math.hypot(*weights)
    return [(term, weight / length) for term, weight in zip(terms, weights, strict=True)]


def generated(rng, items, terms_of_an_interest):
    """A history of three interests, with items without terms."""
    history = []
    for _ in range(items):
        first = rng.randrange(3) * terms_of_an_interest
        terms = rng.sample(range(first, first + terms_of_an_interest), rng.choice((0, 4, 8)))
        history.append(vector(rng, terms))
    return history


def check():
    a, b, half = [(9, 1.0)], [(4, 1.0)], 0.5**0.5
    both = [(4, half), (9, half)]
    near, far = ([(9, weight), (8, (1.0 - weight**2) ** 0.5)] for weight in (0.51, 0.49))
    # By hand: the older of two equally similar ones, whichever that is; nothing in common; no terms.
    histories = [[a, b, both, [(1, 1.0)], [], b], [b, a, both], [], [a, near], [a, far]]
    expected = hashlib.sha256(struct.pack("<12I", 0, 1, 0, 2, 1, 0, 1, 0, 0, 0, 0, 1)).hexdigest()
    rng = random.Random(1)
    # The last one has so many terms that scikit-learn gets a sparse matrix.
    many = [generated(rng, *sizes) for sizes in ((5, 20), (50, 20), (500, 20), (500, DENSE_TERMS))]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "histories"
        for what, found in (histories, [expected]), (many, []):
            path.write_bytes(pack(what))
            found += [measured(name, path, 0.5)["assignments_sha256"] for name in METHODS]
            if len(set(found)) != 1:
                sys.exit(f"the methods differ: {found}")
        bounded = measured("lists", path, 0.5, seconds=0.0, rounds=3)
        if (bounded["users"], bounded["rounds"]) != (1, 1):
            sys.exit(f"without time, more than the first user was done: {bounded}")
    return {"checked": list(METHODS)}


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].removeprefix("usage: "))
    parser.add_argument("--check", action="store_true")
    parser.add_argument("method", choices=METHODS, nargs="?")
    parser.add_argument("file", nargs="?")
    parser.add_argument("epsilon", type=float, nargs="?")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if given.check:
        print(json.dumps(check()))
        return
    # A journey that shares no term with an item is none that it could join.
    if given.epsilon is None or given.epsilon <= 0.0:
        parser.error("name a method, a file, and an epsilon above 0")
    print(json.dumps(measured(given.method, given.file, given.epsilon, given.seconds, given.rounds)))


if __name__ == "__main__":
    main()
