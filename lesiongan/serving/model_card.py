"""A model's card: what it is, what it learned from, what was measured, and what it is not for. Markdown in the form of
the Hugging Face Hub, which a person reads as it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from lesiongan.data.taxonomy import Taxonomy
from lesiongan.serving.model_artifact import CARD

#: ISIC 2019's images are CC BY-NC 4.0, and so is what a generator learned from them.
LICENCE = "cc-by-nc-4.0"
_TEMPLATE = Path(__file__).with_name("model_card.md.j2")
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


def card(record: Mapping[str, Any], place: str, *, repository: str = "", licence: str = LICENCE) -> str:
    """The card: YAML for the Hub, then text.

    Args:
        record: the model's `model.json`; of a pushed one with its blessings.
        place: where the SavedModel lies, seen from the card; "." where it lies beside it.
        repository: `OWNER/NAME` on the Hub; "" elsewhere.
        licence: the Hub's name of it.
    """
    what, example = _VERBS[record["kind"]]
    taxonomy = Taxonomy.from_dict(record["taxonomy"])
    measured = {**record.get("exported", {}).get("measured", {})}
    measured |= {key: value for key, value in record.items() if key.startswith("validation_")}
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        record={"source": "", "target": "", "guided_by": "", "blessing": {}, **record},
        repository=repository,
        place=place,
        name=repository.rpartition("/")[2] or record["name"],
        licence=licence,
        what=what,
        example=example.replace("CLASS", taxonomy.classes[0]),
        classes=list(zip(taxonomy.classes, taxonomy.names, strict=True)),
        measured={key: value for key, value in measured.items() if isinstance(value, (int, float))},
    )


def write_card(folder: Path, record: Mapping[str, Any], place: str) -> None:
    """Writes the card of a model into its folder; see `card`."""
    (folder / CARD).write_text(card(record, place), encoding="utf-8")
