"""How near the melanomas that CycleGANs make of nevi are to real ones, and how far they are from their nevi.

    python -m benchmarks.cyclegan_quality EXAMPLES MODEL [MODEL ...] [--from NV] [--to MEL]
        [--judge imagenet] [--judge CLASSIFIER] [--grids DIR]

MODEL is the folder of an exported CycleGAN. Nevi of the test side of the Examples are translated, one image per lesion.
For each judge KID, recall and coverage against the real melanomas of the test side, with intervals; the same for real
validation melanomas (the floor) and for the nevi as they are (what doing nothing is worth). Beside them how far an
output moved from its input (root mean square of the pixels' differences, in shares of the whole range), and, where the
judge is a classifier, the share that it calls melanoma. `--grids` writes a sheet per model, of the outputs that moved
farthest, without the photographs that they were made of.
"""

from __future__ import annotations

import numpy as np

from benchmarks.judged import Looks, line, one_per_lesion, parser, run_name
from lesiongan.data import examples
from lesiongan.data.contact_sheet import contact_sheet, save_sheet
from lesiongan.evaluation.translation import pixel_distances
from lesiongan.serving import saved_models

_SHOWN = (4, 8)  # rows and columns of a sheet


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--from", dest="source", default="NV")
    options.add_argument("--to", dest="target", default="MEL")
    arguments = options.parse_args()
    source, target = map(examples.taxonomy(arguments.examples).index, (arguments.source, arguments.target))
    served = {path: saved_models.load(path) for path in arguments.models}
    for size in {model.size for model in served.values()}:
        sides = {split: one_per_lesion(arguments.examples, size, split) for split in ("test", "validation")}
        nevi, test, floor = sides["test"].of_class(source), *(side.of_class(target) for side in sides.values())
        test_rows, floor_rows = (np.flatnonzero(side.labels == target) for side in sides.values())
        translated = {path: model.translate(nevi.images) for path, model in served.items() if model.size == size}
        rows = {"real validation images": floor.images, f"{arguments.source} as they are": nevi.images}
        rows |= {run_name(path): images for path, images in translated.items()}
        for judge in arguments.judge or ["imagenet"]:
            looks = Looks.of(judge, *sides.values())
            print(
                f"judge {looks.judge.name}, {size} px, {len(nevi)} {arguments.source} of the test side, one per lesion"
            )
            _called("real test images", looks, test.images, arguments.target)
            for name, images in rows.items():
                quality = looks.quality(looks.features(images), test_rows, floor_rows)
                print(line(name, (len(test), len(images)), quality))
                _called(name, looks, images, arguments.target)
        for path, images in translated.items():
            moved = pixel_distances(nevi.images, images)
            name = run_name(path)
            print(f"  {name:<28}moved: mean {moved.mean():.3f}, least {moved.min():.3f}, most {moved.max():.3f}")
            if arguments.grids:
                far = np.sort(np.argsort(moved)[-int(np.prod(_SHOWN)) :])
                tiles = images[far].reshape(*_SHOWN, *images.shape[1:])
                print(f"  {name:<28}shown have moved by {moved[far].min():.3f} or more")
                save_sheet(contact_sheet(tiles, cell=size), arguments.grids / f"cyclegan-{name}.png")


def _called(name: str, looks: Looks, images: np.ndarray, target: str) -> None:
    if looks.judge.classes:
        share = (looks.judge.probabilities(images).argmax(1) == looks.judge.classes.index(target)).mean()
        print(f"  {name:<28}called {target}: {share:.3f}")


if __name__ == "__main__":
    main()
