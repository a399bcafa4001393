"""A model on the Hugging Face Hub, with a card that says what it is, what it learned from and what it is not for."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import jinja2

from lesiongan.base.errors import MachineError, UsageError, first_line
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.serving.model_artifact import BESIDE, RECORD, describe, find, saved_model

#: ISIC 2019's images are CC BY-NC 4.0, and so is what a generator learned from them.
LICENCE = "cc-by-nc-4.0"
_CARD = Path(__file__).with_name("hub_card.md.j2")
_VERBS = {
    "acgan": (
        "images of a class from noise",
        'served = tf.saved_model.load(folder).signatures["generate_by_name"]\n'
        'png = served(names=tf.constant(["CLASS"]), seeds=tf.constant([7], tf.int64))["png_bytes"]',
    ),
    "cyclegan": (
        "pictures of one kind as pictures of another",
        'served = tf.saved_model.load(folder).signatures["translate_bytes"]\n'
        'png = served(images_bytes=tf.constant([open("lesion.jpg", "rb").read()]))["png_bytes"]',
    ),
    "classifier": (
        "the class of a lesion",
        'served = tf.saved_model.load(folder).signatures["classify_bytes"]\n'
        'found = served(images_bytes=tf.constant([open("lesion.jpg", "rb").read()]))["probabilities"]',
    ),
}


def prepared(model: Path, folder: Path, repository: str, licence: str) -> dict[str, int]:
    """Lays out what goes to the Hub: the SavedModel, `model.json` and the card, `README.md`.

    Returns:
        The files' paths within the folder -> bytes.
    """
    place = find(model)
    record = describe(place)
    shutil.copytree(saved_model(place), folder / "saved_model", ignore=shutil.ignore_patterns(*BESIDE))
    shutil.copy(place / RECORD, folder / RECORD)
    (folder / "README.md").write_text(card(record, repository, licence), encoding="utf-8")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def push(model: Path, repository: str, *, licence: str = LICENCE, private: bool = True) -> str:
    """Uploads a model; returns where it is.

    The token is that of the environment variable `HF_TOKEN` or of `hf auth login`; `HF_ENDPOINT` names another server.

    Raises:
        UsageError: no such model, no token, a wrong name, or the library is not installed (the extra `hub`).
        MachineError: the server cannot be reached, or refuses.
    """
    try:
        import huggingface_hub as hub
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError
    except ImportError as error:
        raise UsageError("the Hub's library is not installed: pip install 'lesiongan[hub]'") from error
    with tempfile.TemporaryDirectory(prefix="lesiongan-") as scratch:
        prepared(model, Path(scratch), repository, licence)
        api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
        try:
            api.create_repo(repository, private=private, exist_ok=True)
            commit = api.upload_folder(repo_id=repository, folder_path=scratch, commit_message="A model of lesiongan")
        except HFValidationError as error:
            raise UsageError(f"{repository}: no name of a repository; give OWNER/NAME ({first_line(error)})") from None
        except LocalTokenNotFoundError:
            raise UsageError("no token for the Hub: set HF_TOKEN, or log in with `hf auth login`") from None
        except HfHubHTTPError as error:
            raise MachineError(f"the Hub refuses: {first_line(error)}") from error
        except Exception as error:
            # the library's transport has changed its name from version to version, its errors' base has not
            if not isinstance(error, OSError) and "HTTPError" not in {kind.__name__ for kind in type(error).__mro__}:
                raise
            raise MachineError(f"the Hub cannot be reached: {first_line(error)}") from error
    return str(commit.commit_url)


def card(record: Mapping, repository: str, licence: str) -> str:
    """The model's card: YAML for the Hub, then text."""
    what, example = _VERBS[record["kind"]]
    taxonomy = Taxonomy.from_dict(record["taxonomy"])
    measured = {**record.get("exported", {}).get("measured", {})}
    measured |= {key: value for key, value in record.items() if key.startswith("validation_")}
    template = jinja2.Template(_CARD.read_text(encoding="utf-8"), keep_trailing_newline=True)
    return template.render(
        record=record,
        repository=repository,
        name=repository.rpartition("/")[2],
        licence=licence,
        what=what,
        example=example.replace("CLASS", taxonomy.classes[0]),
        classes=list(zip(taxonomy.classes, taxonomy.names, strict=True)),
        measured={key: value for key, value in measured.items() if isinstance(value, (int, float))},
    )
