"""Every command of README and docs is run, page by page and in order, at a tiny size.

What a reader would have is there: runs, pushed models, folders of pictures (all phantoms). Sizes are made tiny by
further options, so that whole runs come from the cache of one short demo.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from documented import PAGES, ROOT, Line, lines
from PIL import Image
from short_demo import SHORT, short_demo
from terminal import Terminal

from benchmarks.live_server import LiveServer
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.data.phantoms import table
from lesiongan.data.readers import PhantomReader
from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.serving import saved_models

pytestmark = pytest.mark.slow

#: Lines that are not run here -> why.
NOT_RUN = {
    r"python3 -m venv .*": "makes an environment",
    r"\. \.venv/bin/activate": "takes the environment that was made",
    r"git clone .*|cd lesiongan": "wants the network",
    r"(\.venv/bin/)?pip install .*": "wants the network",
    r"\.venv/bin/(ruff|lint-imports|mypy|mkdocs)\b.*": "a check of the whole repository",
    r"\.venv/bin/python -m pytest.*": "this very test",
    r"docker run .*": "wants Docker and the network",
    r"lesiongan push-to-hub \S+ \S+": "sends to the network; with --dry-run it is run",
    r"lesiongan reader-study score .*": "wants what a reader has saved; its own test scores such answers",
}
#: Runs that no cache has: their plan is made, the data opened, the steps are asked of the cache. `test_runs.py` and
#: `test_synthetic_alone.py` run such to the end.
PLANNED = ("runs/bcc", "runs/own", "--synthetic")
#: Options that make a command tiny, by its first words.
_PHANTOMS = ("data.phantoms=200", "data.phantom_size=32")
TINY = {
    "data": _PHANTOMS,
    "train classifier": (*_PHANTOMS, "classifier.width=0.2", "classifier.size=32", "classifier.images=320"),
    "train acgan": (
        *_PHANTOMS,
        "acgan.size=32",
        "acgan.networks=paper",
        "acgan.width=0.1",
        "acgan.batch=16",
        "acgan.images=64",
    ),
    "train cyclegan": (
        "cyclegan.size=32",
        "cyclegan.filters=4",
        "cyclegan.discriminator_filters=4",
        "cyclegan.images=32",
    ),
}
#: The demo's own values of what documented options change, so that its cache answers.
DEMO = (*SHORT[1::2], "classifier.images=12800", "grid.seeds=1")
DEMO += ("nevus_to_melanoma.alphas=0.5,1.0", "nevus_to_melanoma.amounts=100,200")
#: What a library tells its developers.
NOISE = re.compile(
    r"^[IWEF]\d{4} |absl::|oneDNN|cpu_feature_guard|retracing|module_name|FutureWarning|DeprecationWarning", re.M
)


def tiny(words: list[str]) -> list[str]:
    """A documented command at a tiny size."""
    words = ["phantoms" if word == "ISIC_2019" else word for word in words]
    for option, value in (("--count", "6"), ("--preset", "demo")):
        if option in words:
            words[words.index(option) + 1] = value
    command = next((name for name in TINY if " ".join(words[1:3]).startswith(name)), words[1])
    options = list(TINY.get(command, ()))
    if command == "run":
        options += DEMO
        if any(part in words for part in PLANNED):
            words.append("--dry-run")
            options += ["nevus_to_melanoma.amounts=6,12"]
        else:
            words[words.index("--data") + 1] = "phantoms"
    elif command == "demo":
        options += SHORT[1::2]
    if words[1] in ("run", "train") and "--preset" not in words:
        words += ["--preset", "demo"]
    return words + [part for option in options for part in ("--set", option)]


def draw(folder: Path, labels: str, count: int, *, seed: int, suffix: str = "png") -> None:
    """Phantoms of classes, each class in a folder of its own, or all in `folder` where it is one class."""
    rows = table(3000, seed)
    for label in labels.split():
        place = folder / label if " " in labels else folder
        place.mkdir(parents=True, exist_ok=True)
        for row in rows[rows["label"] == label].head(count).itertuples():
            picture = Image.fromarray(PhantomReader(32).read(f"{label}/{row.lesion_seed}/{row.view_seed}"))
            picture.save(place / f"{row.image_id}.{suffix}")


@pytest.fixture(scope="module")
def terminal(tmp_path_factory):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)  # as a person has it
    opened = Terminal(tmp_path_factory.mktemp("terminal"), environment)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory, terminal) -> Path:
    """What the pages speak of: finished runs, the models that they pushed, folders of pictures."""
    place = tmp_path_factory.mktemp("reader")
    (place / "runs").mkdir()
    shutil.copytree(short_demo(tmp_path_factory.getbasetemp()) / "untouched", place / "runs/demo", symlinks=True)
    for name in ("melanoma", "noise", "first", "bcc"):
        (place / "runs" / name).symlink_to("demo")
    for pipeline, name in (("nevus-to-melanoma", "melanoma"), ("noise-to-lesion", "noise")):
        command = ["lesiongan", "run", pipeline, "--data", "phantoms", "--workdir", f"runs/{name}"]
        status, said, wrong = terminal.run(tiny(command), place)
        assert status == 0, wrong
        assert set(re.findall(r"^\[(.*)\] done in", said, re.M)) == {"pusher"}, said  # all else from the cache
    for name, versions in (("noise-to-lesion-acgan", "23"), ("nevus-to-melanoma-alpha-1", "2")):
        for version in versions:  # what later runs would have pushed
            shutil.copytree(place / "saved_models" / name / "1", place / "saved_models" / name / version)
    of_paper = CycleGAN(CycleGANConfig(size=32, blocks=1, filters=4, discriminator_filters=4))
    details = {"kind": "cyclegan", "size": 32, "taxonomy": ISIC_2019, "details": {"source": "NV", "target": "MEL"}}
    saved_models.export(of_paper, place / "runs/by-the-paper/models/alpha-1", **details)
    draw(place / "FOLDER", "NV MEL VASC DF", 12, seed=1)
    draw(place / "NEVI", "NV", 50, seed=2)
    draw(place / "MELANOMAS", "MEL", 50, seed=2)
    draw(place / "lesions/nevus", "NV", 60, seed=3, suffix="jpg")
    draw(place / "lesions/melanoma", "MEL", 60, seed=3, suffix="jpg")
    draw(place / "DIFFUSION", "MEL VASC", 12, seed=4)
    for name, there in (("PATH", "FOLDER"), ("REAL", "NEVI"), ("FAKE", "MELANOMAS"), ("STYLEGAN", "DIFFUSION")):
        shutil.copytree(place / there, place / name)
    for name in ("PICTURE.jpg", "lesion.jpg"):
        shutil.copy(next((place / "lesions/nevus").glob("*.jpg")), place / name)
    return place


def own_folder(shared: Path, page: Path) -> Path:
    """A folder in which a page's outputs meet no other page's."""
    folder = shared / "pages" / page.stem
    folder.mkdir(parents=True)
    commands = [line.words for line in lines() if line.page == page.name]
    written = {words[words.index("-o") + 1] for words in commands if "-o" in words}
    for there in shared.iterdir():
        if there.name not in {"pages", *written}:
            (folder / there.name).symlink_to(there)
    for block in re.findall(r"^```toml\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
        (folder / f"{page.stem}.toml").write_text(block)
    return folder


def run(line: Line, terminal: Terminal, folder: Path) -> None:
    """Runs a command of this project; what it was asked to write is there then, and no library has spoken."""
    words, to = line.words, None
    if ">" in words:
        to = words[words.index(">") + 1]
        words = words[: words.index(">")]
    status, said, wrong = terminal.run(tiny(words), folder)
    assert status == 0, f"{line.text}\n{wrong}\n{said[-2000:]}"
    assert not NOISE.search(wrong + said), f"{line.text}\n{wrong}"
    assert said, line.text
    if to:
        (folder / to).write_text(said)
    for option in ("-o", "--workdir"):
        if option in words and not (option == "--workdir" and "--dry-run" in tiny(words)):
            written = folder / words[words.index(option) + 1]
            assert written.is_file() or any(written.iterdir()), line.text


def serve(line: Line, folder: Path) -> LiveServer:
    """The server of a documented command, at free ports."""
    words = line.words[2:]
    models = list(itertools.takewhile(lambda word: not word.startswith("--"), words))
    assert words[len(models) :] in ([], ["--port", "8080", "--grpc-port", "8081"])
    return LiveServer(models, folder / "server.log", folder=folder)


def ask(line: Line, server: LiveServer, folder: Path) -> None:
    """What `curl` gets of the server is an answer, not a refusal."""
    if not shutil.which("curl"):
        pytest.skip("no curl here")
    text = line.text.replace("localhost:8080", f"127.0.0.1:{server.port}").replace("curl ", "curl -sS ", 1)
    done = subprocess.run(["bash", "-c", text], cwd=folder, capture_output=True, text=True, timeout=120)
    assert json.loads(done.stdout)["predictions"], done.stdout + done.stderr


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name in {line.page for line in lines()}], ids=lambda p: p.name
)
def test_every_line_of_a_page(page, shared, terminal):
    folder, server = own_folder(shared, page), None
    try:
        for line in lines():
            if line.page != page.name or any(re.fullmatch(pattern, line.text) for pattern in NOT_RUN):
                continue
            if line.words[1:2] == ["serve"]:
                server = serve(line, folder)
            elif line.words:
                run(line, terminal, folder)
            else:
                assert line.text.startswith("curl "), f"{line.text}: say here how it is run, or why it is not"
                assert server, "no server was started"
                ask(line, server, folder)
    finally:
        if server:
            server.stop()
