"""Finds journeys in mixes by other methods, for `sojourn eval report`.

usage: baselines.py FOLDER of models, FOLDER of `sojourn eval mixes`, METHODS

Every method groups the same items as Sojourn does, and groups of two items or fewer are left out, as
Sojourn leaves them out. What a method can be set to is chosen on the tune halves of all sources
together; the test halves are not looked at."""

import collections
import hashlib
import json
import os
import pathlib
import sys
import time
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy
from scipy import sparse
from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import normalize

SEED = 1
EMBEDDING_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
# Groups of as many items or fewer are no journeys.
DROPPED = 2
# Texts that are embedded between two looks at the clock.
BATCH = 512

# That nearly everything is alone is what some groupings say.
warnings.filterwarnings("ignore", message="The number of unique classes is greater than 50%")


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def text(item):
    return ". ".join(part for part in (item["title"], item["description"], *item["tags"]) if part)


class Source:
    """Items and mixes of one source."""

    def __init__(self, folder, name):
        self.name, self.folder = name, folder / name
        items = lines(self.folder / "items.jsonl")
        self.mixes = lines(self.folder / "mixes.jsonl")
        self.row = {item["item_id"]: row for row, item in enumerate(items)}
        self.texts = [text(item) for item in items]
        for mix in self.mixes:
            mix["rows"] = numpy.array([self.row[item] for item in mix["items"]])

    def halves(self, half):
        return [mix for mix in self.mixes if mix["half"] == half]

    def clustered(self):
        return sum(len(mix["items"]) for mix in self.mixes)


def journeys(labels):
    """Lists of positions, oldest first; a negative label, or none, is of no group."""
    groups = collections.defaultdict(list)
    for position, label in enumerate(labels):
        if label is not None and label >= 0:
            groups[label].append(position)
    return sorted(group for group in groups.values() if len(group) > DROPPED)


def ari(mix, found):
    """As Sojourn reckons it: what is of no interest, or in no journey, is alone."""
    size = len(mix["items"])
    truth = [label if label is not None else size + at for at, label in enumerate(mix["labels"])]
    labels = [-1 - at for at in range(size)]
    for number, group in enumerate(found):
        for position in group:
            labels[position] = number
    return adjusted_rand_score(truth, labels)


def tuned(sources, candidates, find):
    """The first of the candidates with the best mean over sources, difficulties and shares of noise."""

    def score(candidate):
        kinds = collections.defaultdict(list)
        for source in sources:
            for mix in source.halves("tune"):
                kind = source.name, mix["difficulty"], mix["noise"]
                kinds[kind].append(ari(mix, find(source, mix, candidate)))
        return numpy.mean([numpy.mean(scores) for scores in kinds.values()])

    if len(candidates) == 1:
        return candidates[0]
    best = max(candidates, key=score)
    for key, value in best.items():
        values = sorted({candidate[key] for candidate in candidates})
        if len(candidates[0]) == 1 and value in (values[0], values[-1]):
            print(f"the best {key}, {value}, is at the end of what was tried", file=sys.stderr)
    return best


class Method:
    """A way of finding journeys; `prepare` reads the texts of a source, `find` groups a mix."""

    label = ""
    told_k = False
    candidates = [None]

    def prepare(self, source):
        """Returns how many items were read, and the seconds that it took."""
        return 0, 0.0

    def can(self, source):
        """Whether there is any sense in trying the method on a source."""
        return True

    def forget(self):
        """Forgets what was found while tuning, so that all of the clustering is timed."""

    def find(self, source, mix, candidate):
        raise NotImplementedError

    def said(self, candidate):
        return "" if candidate is None else ", ".join(f"{k} {v}" for k, v in candidate.items())


class Embedded(Method):
    """Sentence embeddings of the items that are in mixes, kept from run to run with their time."""

    vectors = {}
    times = {}

    def __init__(self, models):
        self.models = models

    def prepare(self, source):
        if source.name not in Embedded.vectors:
            Embedded.vectors[source.name], Embedded.times[source.name] = self.embedded(source)
        return Embedded.times[source.name]

    def embedded(self, source):
        rows = sorted({int(row) for mix in source.mixes for row in mix["rows"]})
        texts = [source.texts[row] for row in rows]
        kept = source.folder / "embeddings.npz"
        digest = hashlib.sha256("\0".join([EMBEDDING_MODEL, *texts]).encode()).hexdigest()
        if kept.is_file():
            with numpy.load(kept) as file:
                if str(file["digest"]) == digest:
                    return self.by_row(source, rows, file["vectors"]), (len(rows), float(file["seconds"]))
        os.environ["HF_HOME"] = str((self.models / "huggingface").resolve())
        import embed_anything

        model = embed_anything.EmbeddingModel.from_pretrained_hf(EMBEDDING_MODEL)
        found, seconds = [], 0.0
        for first in range(0, len(texts), BATCH):
            batch = texts[first : first + BATCH]
            begun = time.perf_counter()
            embedded = embed_anything.embed_query(batch, model)
            seconds += time.perf_counter() - begun
            if len(embedded) != len(batch):
                sys.exit(f"{source.name}: {len(embedded)} embeddings of {len(batch)} texts")
            found.append(numpy.array([one.embedding for one in embedded], dtype=numpy.float32))
            if sys.stderr.isatty():
                done = first + len(batch)
                print(f"\r{source.name}: {done} of {len(texts)} embedded", end="", file=sys.stderr)
        vectors = normalize(numpy.concatenate(found))
        half = kept.with_suffix(".part.npz")
        numpy.savez(half, digest=digest, vectors=vectors, seconds=seconds)
        half.rename(kept)
        return self.by_row(source, rows, vectors), (len(rows), seconds)

    @staticmethod
    def by_row(source, rows, vectors):
        whole = numpy.zeros((len(source.texts), vectors.shape[1]), dtype=numpy.float32)
        whole[rows] = vectors
        return whole

    def of(self, source, mix):
        return Embedded.vectors[source.name][mix["rows"]]


class Ward(Embedded):
    """Hierarchical clustering with Ward's linkage, as PinnerSage has it."""

    label = "Ward, MiniLM"
    candidates = [{"threshold": round(0.8 + 0.1 * step, 1)} for step in range(25)]

    def find(self, source, mix, candidate):
        ward = AgglomerativeClustering(None, distance_threshold=candidate["threshold"], linkage="ward")
        return journeys(ward.fit_predict(self.of(source, mix)))


class Density(Embedded):
    """HDBSCAN, as BERTopic has it; without the reduction to few dimensions, for which a user's items
    are too few."""

    label = "HDBSCAN, MiniLM"
    candidates = [
        {"min_cluster_size": size, "min_samples": samples, "method": method}
        for size in (3, 4, 5)
        for samples in (1, 2, 3)
        for method in ("eom", "leaf")
    ]

    def find(self, source, mix, candidate):
        hdbscan = HDBSCAN(
            min_cluster_size=candidate["min_cluster_size"],
            min_samples=candidate["min_samples"],
            cluster_selection_method=candidate["method"],
            copy=True,
        )
        return journeys(hdbscan.fit_predict(self.of(source, mix)))


class Tfidf(Method):
    """k-means on TF-IDF, told how many interests there are."""

    label = "k-means, TF-IDF"
    told_k = True

    def __init__(self, models):
        self.vectors = {}

    def prepare(self, source):
        begun = time.perf_counter()
        vectorizer = TfidfVectorizer(stop_words="english", sublinear_tf=True)
        self.vectors[source.name] = vectorizer.fit_transform(source.texts)
        return len(source.texts), time.perf_counter() - begun

    def find(self, source, mix, candidate):
        wanted = max(1, min(mix["interests"], len(mix["items"])))
        kmeans = KMeans(wanted, n_init=10, random_state=SEED)
        return journeys(kmeans.fit_predict(self.vectors[source.name][mix["rows"]]))


class Cooccurrence(Method):
    """Items that are in the same histories: matrix factorisation, then k-means over all items of a
    source; an item is in the journey of its centre. The histories are the mixes themselves, in which
    items of a collection come together far more often than in any real log."""

    label = "co-occurrence, k-means"
    candidates = [{"centres": centres} for centres in (25, 50, 100, 200, 400, 800, 1600)]
    FACTORS = 64

    def can(self, source):
        # An item of a window is in no other one, so that all items of a window are alike.
        return all(mix["difficulty"] != "window" for mix in source.mixes)

    def forget(self):
        self.labels.clear()

    def __init__(self, models):
        self.factors, self.labels = {}, {}

    def prepare(self, source):
        # The noisiest variant of a mix has all of its items.
        noisiest = max(mix["noise"] for mix in source.mixes)
        histories = [mix for mix in source.mixes if mix["noise"] == noisiest]
        pairs = [(number, row) for number, mix in enumerate(histories) for row in mix["rows"]]
        numbers, rows = zip(*pairs)
        shape = (len(histories), len(source.texts))
        begun = time.perf_counter()
        came = sparse.csr_matrix((numpy.ones(len(pairs)), (numbers, rows)), shape=shape)
        together = came.T @ came
        together = (together - sparse.diags(together.diagonal())).tocsr()
        together.eliminate_zeros()
        svd = TruncatedSVD(min(self.FACTORS, len(histories)), random_state=SEED)
        self.factors[source.name] = normalize(svd.fit_transform(together))
        return len(set(rows)), time.perf_counter() - begun

    def find(self, source, mix, candidate):
        key = source.name, candidate["centres"]
        if key not in self.labels:
            factors = self.factors[source.name]
            there = numpy.flatnonzero(factors.any(axis=1))
            centres = min(candidate["centres"], len(there))
            labels = numpy.full(len(factors), -1)
            labels[there] = KMeans(centres, n_init=1, random_state=SEED).fit_predict(factors[there])
            self.labels[key] = labels
        return journeys(self.labels[key][mix["rows"]])


class Stream(Method):
    """TextClust, which clusters a stream of texts."""

    label = "TextClust"
    candidates = [{"radius": radius} for radius in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)]

    def __init__(self, models):
        pass

    def find(self, source, mix, candidate):
        from river import cluster, feature_extraction

        stop_words = set(ENGLISH_STOP_WORDS)
        words = feature_extraction.BagOfWords(lowercase=True, ngram_range=(1, 2), stop_words=stop_words)
        # Nothing fades within one history; but a factor of 0 would take every cluster for faded.
        model = cluster.TextClust(
            radius=candidate["radius"],
            real_time_fading=False,
            term_fading=False,
            fading_factor=1e-9,
            tgap=10**9,
        )
        counts = [words.transform_one(source.texts[row]) for row in mix["rows"]]
        for count in counts:
            model.learn_one(count)
        # The clusters as they are at the end; a text without a word is in none.
        return journeys([model.predict_one(count, type="micro") for count in counts])


METHODS = {
    "cooccurrence": Cooccurrence,
    "ward": Ward,
    "hdbscan": Density,
    "tfidf": Tfidf,
    "textclust": Stream,
}


def write(source, name, header, found):
    folder = source.folder / "found"
    folder.mkdir(exist_ok=True)
    with open(folder / f"{name}.jsonl", "w", encoding="utf-8") as file:
        for mix, groups in zip(source.mixes, found, strict=True):
            file.write(json.dumps({"mix": mix["id"], "journeys": groups}) + "\n")
    (folder / f"{name}.json").write_text(json.dumps(header, indent=1) + "\n")


def main():
    models, folder, names = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
    for name in names:
        if name not in METHODS:
            sys.exit(f"there is no method {name}; there are {', '.join(METHODS)}")
    header = json.loads((folder / "mixes.json").read_text())
    sources = [Source(folder, source["name"]) for source in header["sources"]]
    for name in names:
        method = METHODS[name](models)
        able = [source for source in sources if method.can(source)]
        times = [method.prepare(source) for source in able]
        candidate = tuned(able, method.candidates, method.find)
        method.forget()
        for source, (items, represent_seconds) in zip(able, times, strict=True):
            begun = time.perf_counter()
            found = [method.find(source, mix, candidate) for mix in source.mixes]
            cluster_seconds = time.perf_counter() - begun
            header = {
                "label": method.label,
                "told_k": method.told_k,
                "parameters": method.said(candidate),
                "items": items,
                "represent_seconds": represent_seconds,
                "clustered_items": source.clustered(),
                "cluster_seconds": cluster_seconds,
            }
            write(source, name, header, found)
        print(f"{method.label}: {method.said(candidate)}", flush=True)


main()
