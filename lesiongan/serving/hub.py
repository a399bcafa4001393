"""A model on the Hugging Face Hub, with a card that says what it is, what it learned from and what it is not for."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from lesiongan.base.errors import MachineError, UsageError, first_line
from lesiongan.serving.model_artifact import BESIDE, CARD, RECORD, describe, find, saved_model
from lesiongan.serving.model_card import LICENCE, card


def prepared(model: Path, folder: Path, repository: str, licence: str) -> dict[str, int]:
    """Lays out what goes to the Hub: the SavedModel, `model.json` and the card.

    Returns:
        The files' paths within the folder -> bytes.
    """
    place = find(model)
    record = describe(place)
    shutil.copytree(saved_model(place), folder / "saved_model", ignore=shutil.ignore_patterns(*BESIDE))
    shutil.copy(place / RECORD, folder / RECORD)
    (folder / CARD).write_text(card(record, "saved_model", repository=repository, licence=licence), encoding="utf-8")
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
