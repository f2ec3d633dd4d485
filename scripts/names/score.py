"""Compares names with those of people: a table in Markdown, and figures in JSON.

usage: score.py FOLDER of models, FILE of `sojourn eval names`, FOLDER for table.md and scores.json

chrF and BLEU are those of sacreBLEU, whatever the case of letters. Similarity is the cosine of the
embeddings by all-MiniLM-L6-v2 (means over tokens, normalised). Intervals hold 95 % of resampled means."""

import json
import os
import pathlib
import sys

models, results, out = map(pathlib.Path, sys.argv[1:4])
os.environ["HF_HOME"] = str((models / "huggingface").resolve())
os.environ["HF_HUB_OFFLINE"] = "1"

import embed_anything
import numpy
from sacrebleu.metrics import BLEU, CHRF

RESAMPLES = 1000
SEED = 12345
EMBEDDING_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


def embeddings(texts):
    model = embed_anything.EmbeddingModel.from_pretrained_hf(EMBEDDING_MODEL)
    found = embed_anything.embed_query(texts, model)
    return {text: numpy.array(one.embedding) for text, one in zip(texts, found, strict=True)}


def similarities(trials, vectors):
    return numpy.array([vectors[trial["name"]] @ vectors[trial["title"]] for trial in trials])


def half_width(values):
    """Of the interval that holds 95 % of the means of resampled values."""
    if len(values) < 2:
        return 0.0
    draws = numpy.random.default_rng(SEED).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = numpy.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return float(high - low) / 2


def share(trials, holds):
    return sum(map(holds, trials)) / len(trials) if trials else None


def scored(trials, vectors, base):
    names = [trial["name"] for trial in trials]
    titles = [[trial["title"] for trial in trials]]
    chrf = CHRF(lowercase=True).corpus_score(names, titles, n_bootstrap=RESAMPLES)
    similarity = similarities(trials, vectors)
    figures = {
        "names": len(trials),
        "chrf": chrf.score,
        "chrf_interval": float(chrf._ci),
        "bleu": BLEU(lowercase=True).corpus_score(names, titles).score,
        "similarity": float(similarity.mean()),
        "similarity_interval": half_width(similarity),
        "distinct": len({name.lower() for name in names}) / len(names),
    }
    by_model = trials[0]["setting"]["namer"] == "llm"
    if by_model:
        of = {(trial["source"], trial["line"]): trial for trial in base}
        pairs = [of[trial["source"], trial["line"]] for trial in trials]
        differences = similarity - similarities(pairs, vectors)
        well_formed = [trial for trial in trials if trial["rejection"] != "missing"]
        judged = [t for t in well_formed if t["rejection"] in (None, "duplicate", "ungrounded")]
        grounded = [trial for trial in judged if trial["rejection"] != "ungrounded"]
        figures |= {
            "to_base": float(differences.mean()),
            "to_base_interval": half_width(differences),
            "well_formed": share(trials, lambda trial: trial["rejection"] != "missing"),
            "grounded": share(judged, lambda trial: trial["rejection"] != "ungrounded"),
            "unlike_siblings": share(grounded, lambda trial: trial["rejection"] is None),
            "by_the_model": share(trials, lambda trial: trial["name_source"] == "llm"),
        }
        for cost in ("calls", "tokens_in", "tokens_out", "seconds"):
            figures[cost] = sum(trial[cost] for trial in trials) / len(trials)
    return figures


def called(setting, base):
    """What differs from the base."""
    if setting["namer"] == "terms":
        return "terms, no model"
    said = {
        "journeys_per_call": "{} journeys a call",
        "examples": "{} examples",
        "shown": "{} shown",
        "samples": "{} samples",
    }
    changed = [f.format(setting[k]) for k, f in said.items() if setting[k] != base[k]]
    return ", ".join(changed) or "**base**"


def percent(value):
    return "" if value is None else f"{100 * value:.0f}"


def row(name, figures):
    get = figures.get
    def pm(key, digits):
        return f"{figures[key]:.{digits}f} ± {figures[key + '_interval']:.{digits}f}"
    cells = [name, figures["names"], pm("chrf", 1), f"{figures['bleu']:.1f}", pm("similarity", 3)]
    if "to_base" in figures and "**base**" not in name:
        cells.append(f"{figures['to_base']:+.3f} ± {figures['to_base_interval']:.3f}")
    else:
        cells.append("")
    cells += [percent(get(key)) for key in ("well_formed", "grounded", "unlike_siblings")]
    cells += [percent(figures["distinct"]), percent(get("by_the_model"))]
    if "tokens_in" in figures:
        seconds = f"{figures['seconds']:.2f}" if "seconds" in figures else ""
        cells += [f"{get('tokens_in'):.0f} / {get('tokens_out'):.0f}", seconds]
    else:
        cells += ["0 / 0", "0"]
    return "| " + " | ".join(map(str, cells)) + " |"


HEADINGS = [
    "way", "names", "chrF", "BLEU", "similarity", "against the base", "well formed %", "grounded %",
    "unlike siblings %", "distinct %", "by the model %", "tokens in / out", "seconds",
]


def main():
    with open(results) as lines:
        trials = [json.loads(line) for line in lines]
    vectors = embeddings(sorted({text for trial in trials for text in (trial["name"], trial["title"])}))
    ways = {}
    for trial in trials:
        ways.setdefault(json.dumps(trial["setting"], sort_keys=True), []).append(trial)
    ways = list(ways.values())
    base = next((way for way in ways if way[0]["setting"]["namer"] == "llm"), [])
    base_setting = base[0]["setting"] if base else {}
    rows = []
    def add(name, way, is_whole=True):
        figures = scored(way, vectors, base)
        if not is_whole:
            # Questions that are asked at once share their time, whichever of them this is about.
            figures.pop("seconds", None)
        rows.append({"way": name.strip("*"), "setting": way[0]["setting"], **figures})
        return row(name, figures)
    table = ["| " + " | ".join(HEADINGS) + " |", "|" + " --- |" * len(HEADINGS)]
    for way in ways:
        table.append(add(called(way[0]["setting"], base_setting), way))
    # What was named in every way, if that is less than all.
    common = set.intersection(*({(t["source"], t["line"]) for t in way} for way in ways))
    if base and len(common) < len(base):
        for way in ways[:2]:
            name = called(way[0]["setting"], base_setting) + ", where all ways are"
            table.append(add(name, [t for t in way if (t["source"], t["line"]) in common], is_whole=False))
    for source in sorted({trial["source"] for trial in trials}):
        for way in ways[:2]:
            part = [trial for trial in way if trial["source"] == source]
            name = f"{called(way[0]['setting'], base_setting)}, {pathlib.Path(source).parent.name}"
            table.append(add(name, part, is_whole=False))
    model = base_setting.get("model", "none")
    about = (
        f"Model: {model}; seed {trials[0]['seed']}; base: "
        + ", ".join(f"{k} {base_setting[k]}" for k in ("journeys_per_call", "examples", "shown", "samples") if base)
    )
    metric = CHRF(lowercase=True), BLEU(lowercase=True)
    for one in metric:
        # A signature is known once something was scored.
        one.corpus_score(["a"], [["a"]])
    signatures = [f"{type(one).__name__} {one.get_signature()}" for one in metric]
    text = "\n".join([about, "", *table, "", *signatures]) + "\n"
    (out / "table.md").write_text(text)
    (out / "scores.json").write_text(json.dumps({"signatures": signatures, "rows": rows}, indent=1) + "\n")
    print(text)


main()
