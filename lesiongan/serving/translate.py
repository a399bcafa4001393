"""A trained CycleGAN applied to pictures: files in, files out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from lesiongan.base.errors import UsageError
from lesiongan.base.files import write_text
from lesiongan.base.progress import Progress
from lesiongan.data.contact_sheet import contact_sheet, save_sheet
from lesiongan.data.csv_files import as_csv
from lesiongan.data.folders import check_apart
from lesiongan.data.generated import DIGITAL_SOURCE_TYPE
from lesiongan.data.labelled import distinct_names, listed, squares
from lesiongan.serving import saved_models
from lesiongan.serving.model_artifact import find
from lesiongan.serving.picture_files import made_by

TABLE, SHEET = "translated.csv", "translated.png"
_CHUNK = 256  # pictures in memory
_SHOWN = 10


def translate_pictures(
    model: Path, paths: Sequence[str], output: Path, *, overwrite: bool = False
) -> tuple[int, list[str]]:
    """Pictures of X as pictures of Y.

    Args:
        model: the folder of an exported CycleGAN.
        paths: files, and folders of pictures; the folders below them count.
        output: gets one PNG of the model's size per picture, `translated.csv` (from which picture and model each came)
            and `translated.png` (some of them, before and after).

        overwrite: files of an earlier call are replaced; never a picture that is translated.

    Returns:
        How many pictures were translated, and a line for each that cannot be used.

    Raises:
        UsageError: no CycleGAN there, no usable picture, the output lies in a folder that is translated, or has such
            files already.
    """
    find(model, "cyclegan")  # a wrong one is refused before TensorFlow starts
    for entry in paths:
        if Path(entry).is_dir():
            check_apart({"the pictures": entry, "the output": output})
    files, faults = listed(paths)
    served = saved_models.load(model, "cyclegan")
    rows = []
    shown: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    names = dict(zip(files, distinct_names(files, [Path(SHEET).stem]), strict=True))
    _check_free([output / f"{name}.png" for name in names.values()], files, overwrite)
    output.mkdir(parents=True, exist_ok=True)
    progress = Progress("translate", len(files), "pictures")
    for begin in range(0, len(files), _CHUNK):
        images, chunk, unusable = squares(files[begin : begin + _CHUNK], served.size, served.reading)
        faults += unusable
        if chunk:
            translated = served.translate(images)
            for path, before, after in zip(chunk, images, translated, strict=True):
                name = f"{names[path]}.png"
                Image.fromarray(after).save(output / name)
                rows.append({"image": name, "source": str(path)})
                if len(rows) <= _SHOWN:
                    shown[0].append(before)
                    shown[1].append(after)
        progress.update(min(begin + _CHUNK, len(files)))
    progress.close()
    if not rows:
        raise UsageError(f"no picture to translate{f': {faults[0]}' if faults else '; give files or folders of them'}")
    provenance = {**made_by(served.record), "digital_source_type": DIGITAL_SOURCE_TYPE}
    write_text(output / TABLE, as_csv(pd.DataFrame(rows).assign(**provenance)))
    labels = (served.record.get("source", "before"), served.record.get("target", "after"))
    save_sheet(contact_sheet(shown, labels, cell=max(96, served.size)), output / SHEET)
    return len(rows), faults


def _check_free(targets: Sequence[Path], sources: Sequence[Path], overwrite: bool) -> None:
    """Raises where a file would be lost."""
    own = {path.resolve() for path in sources}
    for target in targets:
        if target.resolve() in own:
            raise UsageError(f"{target}: is one of the pictures to translate; name another folder with -o")
        if target.exists() and not overwrite:
            raise UsageError(f"{target}: there is such a file; name another folder, or give --overwrite to replace it")
