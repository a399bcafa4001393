"""`lesiongan train`, `translate`, `evaluate`, `predict` and `import-cyclegan`: single models, without a pipeline."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from lesiongan.base import shown
from lesiongan.base.errors import ExitCode, UsageError
from lesiongan.config.run import Config
from lesiongan.serving.model_artifact import find
from pipelines import arguments as shared

_GENERATOR = "NAME or NAME:VERSION of a pushed model, or the folder of one"
_CLASSIFIER = "NAME or NAME:VERSION of a pushed classifier, or the folder of one"


def add(commands) -> None:
    """Adds the commands to a parser's subparsers."""
    train = commands.add_parser("train", help="train one model on its own")
    models = train.add_subparsers(title="models", metavar="MODEL", required=True, parser_class=type(train))
    classifier = models.add_parser("classifier", help="a lesion classifier")
    _labelled(classifier)
    _training(classifier, "of the split and the training")
    classifier.set_defaults(run=_train_classifier)

    acgan = models.add_parser("acgan", help="an ACGAN: images of a class from noise")
    _labelled(acgan)
    _training(acgan, "of the split and the training")
    acgan.add_argument(
        "--judge", type=Path, metavar="MODEL", help=f"{_CLASSIFIER}: measure KID while it trains, or guide it"
    )
    acgan.set_defaults(run=_train_acgan)

    cyclegan = models.add_parser("cyclegan", help="a CycleGAN: pictures of one folder as those of another")
    cyclegan.add_argument("--from", dest="source", required=True, metavar="DIR", help="a folder of pictures")
    cyclegan.add_argument("--to", dest="target", required=True, metavar="DIR", help="what they are to look like")
    _training(cyclegan, "of the pictures set aside and the training")
    cyclegan.add_argument(
        "--judge",
        default="",
        metavar="MODEL",
        help=f"{_CLASSIFIER}, or `imagenet`: measure KID while it trains; or a classifier to guide it",
    )
    cyclegan.set_defaults(run=_train_cyclegan)

    translate = commands.add_parser("translate", help="pictures through a trained CycleGAN")
    translate.add_argument("--model", type=Path, required=True, metavar="MODEL", help=_GENERATOR)
    translate.add_argument("pictures", nargs="+", metavar="PICTURE", help="files, or folders of pictures")
    translate.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="gets one PNG per picture")
    translate.add_argument("--overwrite", action="store_true", help="replace files of an earlier call")
    translate.set_defaults(run=_translate)

    generate = commands.add_parser("generate", help="PNG pictures by a trained ACGAN or CycleGAN, with their tables")
    generate.add_argument("--model", type=Path, required=True, metavar="MODEL", help=_GENERATOR)
    generate.add_argument(
        "--class",
        dest="classes",
        action="append",
        default=[],
        metavar="CLASS",
        help="of an ACGAN; repeatable (default: all)",
    )
    generate.add_argument(
        "--from",
        dest="source",
        action="append",
        default=[],
        metavar="PATH",
        help="of a CycleGAN: a picture or a folder of pictures to make others of; repeatable",
    )
    generate.add_argument(
        "--count", type=int, help="pictures per class (default: 100; of a CycleGAN: one of each picture)"
    )
    generate.add_argument("--seed", type=int, default=0, help="of the first picture of each class (default: 0)")
    generate.add_argument(
        "-o",
        "--out",
        "--output",
        dest="output",
        type=Path,
        required=True,
        metavar="DIR",
        help="goes on from what is there",
    )
    generate.add_argument(
        "--full-size", action="store_true", help="of a CycleGAN: pictures keep their size (see docs/serving.md)"
    )
    generate.set_defaults(run=_generate)

    evaluate = commands.add_parser("evaluate", help="how well a trained classifier does on labelled images")
    _model(evaluate)
    evaluate.add_argument("--data", required=True, help="an Examples artifact, or a source as for `run --data`")
    evaluate.add_argument("--split", default="", help="of an Examples artifact (default: test)")
    evaluate.add_argument("-o", "--output", type=Path, metavar="FILE.csv", help="probabilities in ISIC's form")
    shared.overwrite(evaluate)
    evaluate.add_argument("--json", action="store_true", help="for programs")
    evaluate.set_defaults(run=_evaluate)

    predict = commands.add_parser("predict", help="probabilities of pictures, as a CSV in ISIC's form")
    _model(predict)
    predict.add_argument("pictures", nargs="+", metavar="PICTURE", help="files, or folders of pictures")
    predict.add_argument("-o", "--output", type=Path, metavar="FILE.csv", help="default: standard output")
    shared.overwrite(predict)
    predict.set_defaults(run=_predict)

    imported = commands.add_parser(
        "import-cyclegan", help="a generator of pytorch-CycleGAN-and-pix2pix (.pth) as a model of this project"
    )
    imported.add_argument("file", type=Path, metavar="FILE.pth", help="of netG, e.g. latest_net_G_A.pth")
    imported.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="a new folder")
    imported.add_argument("--size", type=int, default=256, help="pixels of its images (default: %(default)s)")
    imported.add_argument("--source", default="X", metavar="CLASS", help="of what goes in (default: %(default)s)")
    imported.add_argument("--target", default="Y", metavar="CLASS", help="of what comes out (default: %(default)s)")
    imported.set_defaults(run=_import_cyclegan)


def _model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, metavar="MODEL", help=_CLASSIFIER)
    parser.add_argument("--tta", action="store_true", help="mean over the square's eight symmetries")


def _labelled(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", required=True, help="as for `run --data`, or an Examples artifact")


def _training(parser: argparse.ArgumentParser, seeded: str) -> None:
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="goes on from what is there")
    parser.add_argument("--seed", type=int, default=0, help=f"{seeded} (default: 0)")
    parser.add_argument("--overwrite", action="store_true", help="replace a finished model that was made otherwise")
    parser.add_argument(
        "--transfer",
        type=Path,
        metavar="MODEL",
        help="begin with the weights of another training of the same kind, at step 0: the folder that it wrote to",
    )
    shared.configuration(parser)
    shared.checkpoints(parser)
    shared.accept_code_change(parser)


def _configured(arguments: argparse.Namespace, model: str) -> Config:
    shared.check_output_folder(arguments.output)
    shared.save_as_asked(arguments)
    shared.accept(arguments, arguments.output.resolve() / "work")
    return shared.resolved(arguments, trains=(model,))


def _given(arguments: argparse.Namespace, kind: str) -> dict:
    """What a training is told beside its data and options."""
    transfer = find(arguments.transfer, kind).resolve() if arguments.transfer else ""
    return {"transfer": transfer, "overwrite": arguments.overwrite}


def whole_path(data: str) -> str:
    """A source that `--data` names: the word `phantoms`, or a whole path, since steps run in other folders."""
    return data if data == "phantoms" else str(Path(data).resolve())


def _train_classifier(arguments: argparse.Namespace) -> int:
    from lesiongan.steps import standalone

    config = _configured(arguments, "classifier")

    data = whole_path(arguments.data)
    model = standalone.classifier(
        data, arguments.output.resolve(), config, arguments.seed, **_given(arguments, "classifier")
    )
    print(f"model: {model}")
    print(f"next: lesiongan evaluate --model {model} --data {_examples(data, arguments.output)}")
    return ExitCode.DONE


def _examples(data: str, output: Path) -> Path:
    examples = output.resolve() / "examples"
    return examples if examples.is_dir() else Path(data)


def _train_acgan(arguments: argparse.Namespace) -> int:
    from lesiongan.steps import standalone

    config = _configured(arguments, "acgan")

    data = whole_path(arguments.data)
    judge = find(arguments.judge, "classifier").resolve() if arguments.judge else ""
    output, given = arguments.output.resolve(), _given(arguments, "acgan")
    print(f"model: {standalone.acgan(data, output, config, arguments.seed, judge, **given)}")
    print(f"sample grids, statistics: {arguments.output.resolve() / 'model_run' / 'acgan'}")
    return ExitCode.DONE


def _train_cyclegan(arguments: argparse.Namespace) -> int:
    from lesiongan.steps import standalone

    config = _configured(arguments, "cyclegan")

    output = arguments.output.resolve()
    named = arguments.judge in ("", "imagenet")
    judge = arguments.judge if named else find(arguments.judge, "classifier").resolve()
    model = standalone.cyclegan(
        arguments.source, arguments.target, output, config, arguments.seed, judge, **_given(arguments, "cyclegan")
    )
    print(f"model: {model}")
    print(f"sample grids, statistics: {output / 'model_run' / 'cyclegan'}")
    print(f"next: lesiongan translate --model {model} {arguments.source} -o FOLDER")
    return ExitCode.DONE


def _translate(arguments: argparse.Namespace) -> int:
    shared.check_output_folder(arguments.output)
    find(arguments.model, "cyclegan")  # a wrong one is refused before TensorFlow starts
    from lesiongan.serving.translate import translate_pictures

    done, faults = translate_pictures(
        arguments.model, arguments.pictures, arguments.output, overwrite=arguments.overwrite
    )
    for fault in faults:
        shown.complain(f"{fault}; not in the result")
    print(f"{done:,} pictures: {arguments.output}")
    return ExitCode.USAGE if faults else ExitCode.DONE


def _generate(arguments: argparse.Namespace) -> int:
    shared.check_output_folder(arguments.output)
    if arguments.count is not None and arguments.count < 1:
        raise UsageError(f"--count {arguments.count}: give 1 or more")
    if not 0 <= arguments.seed < 2**62:
        raise UsageError(f"--seed {arguments.seed}: give a number from 0 to 2^62 - 1")
    find(arguments.model)
    from lesiongan.serving.generate import Request, generate

    source = tuple(str(Path(path).resolve()) for path in arguments.source)
    count = arguments.count or (0 if source else 100)
    classes = tuple(dict.fromkeys(arguments.classes))
    request = Request(classes, count, arguments.seed, source, arguments.full_size)
    done, faults = generate(arguments.model, request, arguments.output)
    for fault in faults:
        shown.complain(f"{fault}; not in the result")
    print(f"{done:,} pictures: {arguments.output}")
    return ExitCode.USAGE if faults else ExitCode.DONE


def _evaluate(arguments: argparse.Namespace) -> int:
    if arguments.output:
        shared.check_output_file(arguments.output, overwrite=arguments.overwrite)
    place = find(arguments.model, "classifier")
    from lesiongan.base.files import write_text
    from lesiongan.data.labelled import labelled
    from lesiongan.evaluation.judge import load_classifier
    from lesiongan.evaluation.predictions import submission
    from lesiongan.evaluation.single import assess, lines
    from lesiongan.serving import seen_images

    model = load_classifier(arguments.model)
    data = arguments.data if arguments.data == "phantoms" else str(Path(arguments.data))
    images, lesions, left_out = labelled(data, model.size, model.taxonomy, model.reading, split=arguments.split)
    seen = seen_images.seen(place, images)
    warning = seen_images.warning(*seen, len(images))
    if warning:
        shown.complain(warning)
    probabilities, _ = model.predict(images.images, tta=arguments.tta)
    scores = assess(images.labels, probabilities, model.taxonomy.classes, lesions)
    scores |= {"left_out": left_out, "learned_from": sum(seen)}
    if arguments.output:
        write_text(arguments.output, submission(images.ids, probabilities, model.taxonomy.classes))
    if arguments.json:
        print(json.dumps(scores, indent=1))
    else:
        shown.show(lines(scores))
    for why, count in left_out.items():
        print(shown.one_line(f"left out: {count:,} {why}"), file=sys.stderr)
    return ExitCode.DONE


def _predict(arguments: argparse.Namespace) -> int:
    if arguments.output:
        shared.check_output_file(arguments.output, overwrite=arguments.overwrite)
    find(arguments.model, "classifier")
    from lesiongan.base.files import write_text
    from lesiongan.data.labelled import loose
    from lesiongan.evaluation.judge import load_classifier
    from lesiongan.evaluation.predictions import submission

    model = load_classifier(arguments.model)
    images, names, faults = loose(arguments.pictures, model.size, model.reading)
    for fault in faults:
        shown.complain(f"{fault}; not in the result")
    if not len(images):
        raise UsageError("no picture to predict; give files or folders of pictures")
    probabilities, _ = model.predict(images, tta=arguments.tta)
    text = submission(names, probabilities, model.taxonomy.classes)
    if arguments.output:
        write_text(arguments.output, text)
    else:
        print(text, end="")
    return ExitCode.USAGE if faults else ExitCode.DONE


def _import_cyclegan(arguments: argparse.Namespace) -> int:
    shared.check_output_folder(arguments.output)
    from lesiongan.serving.import_cyclegan import export_generator

    record = export_generator(
        arguments.file, arguments.output, size=arguments.size, source=arguments.source, target=arguments.target
    )
    facts = record["imported"]
    print(
        f"{arguments.source} to {arguments.target} at {record['size']} px: {facts['blocks']} residual blocks, "
        f"{facts['filters']} filters, {record['parameters']:,} parameters"
    )
    print(f"model: {arguments.output}")
    return ExitCode.DONE
