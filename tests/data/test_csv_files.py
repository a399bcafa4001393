"""Tables as pandas, R, Excel and people write them read back the same."""

from __future__ import annotations

import codecs
import csv
import io
import unicodedata

import pandas as pd
import pytest
from hypothesis import assume, given, settings, strategies as st

from lesiongan.base.errors import UsageError
from lesiongan.config.data import DataConfig
from lesiongan.data import csv_files, diagnoses, label_tables
from lesiongan.data.sources import open_source

CLASSES = ("MEL", "NV", "BCC")
MISSING = (
    "",
    " ",
    "NA",
    "na",
    "nan",
    "NaN",
    "N/A",
    "None",
    "none",
    "null",
    "NULL",
    "unknown",
    "Unknown",
    "-",
    "?",
    "<NA>",
)


def frame(labels: list[str], ids: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"image": ids, **{c: [int(label == c) for label in labels] for c in CLASSES}})


def quoted(table: pd.DataFrame) -> str:
    """As R's write.csv: strings in quotes, row names first."""
    return table.set_index(pd.Index([str(i + 1) for i in range(len(table))])).to_csv(quoting=csv.QUOTE_NONNUMERIC)


def words(table: pd.DataFrame, yes: str, no: str) -> pd.DataFrame:
    return table.assign(**{c: [yes if value else no for value in table[c]] for c in CLASSES})


#: How a table of 0 and 1 is written -> its bytes.
WRITERS = {
    "pandas": lambda t: t.to_csv(index=False).encode(),
    "pandas with its index": lambda t: t.to_csv().encode(),
    "pandas, image as index": lambda t: t.set_index("image").to_csv().encode(),
    "pandas, image as an index without a name": lambda t: t.set_index("image").rename_axis(None).to_csv().encode(),
    "pandas read and written again": lambda t: pd.read_csv(io.StringIO(t.to_csv())).to_csv(index=False).encode(),
    "pandas floats": lambda t: t.astype(dict.fromkeys(CLASSES, float)).to_csv(index=False).encode(),
    "pandas booleans": lambda t: t.astype(dict.fromkeys(CLASSES, bool)).to_csv(index=False).encode(),
    "R write.csv": lambda t: quoted(t).encode(),
    "R write.table": lambda t: quoted(t).replace('"",', "", 1).replace(",", "\t").encode(),
    "R write.table with spaces": lambda t: quoted(t).replace('"",', "", 1).replace(",", " ").encode(),
    "R write.table without quotes": lambda t: t.to_csv(sep=" ").removeprefix('""').lstrip().encode(),
    "R TRUE and FALSE": lambda t: quoted(words(t, "TRUE", "FALSE")).encode(),
    "Excel, semicolons": lambda t: b"\xef\xbb\xbf" + t.to_csv(index=False, sep=";", lineterminator="\r\n").encode(),
    "Excel, sep line": lambda t: b"sep=;\r\n" + t.to_csv(index=False, sep=";", lineterminator="\r\n").encode(),
    "Excel, decimal comma": lambda t: words(t, "1,0", "0,0").to_csv(index=False, sep=";").encode(),
    "Excel, Unicode text": lambda t: t.to_csv(index=False, sep="\t").encode("utf-16"),
    "Excel, commas at the end": lambda t: t.to_csv(index=False).replace("\n", ",,\n").encode(),
    "blank lines first": lambda t: b"\n \n" + t.to_csv(index=False).encode(),
    "a comment first": lambda t: b"# labels, version 2\n#\n" + t.to_csv(index=False).encode(),
    "bars": lambda t: t.to_csv(index=False, sep="|").encode(),
    "blanks for 0": lambda t: words(t, "1", "").to_csv(index=False).encode(),
    "crosses": lambda t: words(t, "x", "").to_csv(index=False).encode(),
    "yes and no": lambda t: words(t, "yes", "no").to_csv(index=False).encode(),
    "capitals": lambda t: t.rename(columns={"image": "Image_ID"}).to_csv(index=False).encode(),
}
ids = st.lists(st.from_regex(r"[A-Za-z][A-Za-z_]{0,5}[0-9]{1,7}", fullmatch=True), min_size=4, max_size=12, unique=True)


@pytest.mark.parametrize("how", WRITERS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_one_hot_table_reads_back_the_same(how, data, tmp_path_factory):
    names = data.draw(ids)
    labels = data.draw(st.lists(st.sampled_from(CLASSES), min_size=len(names), max_size=len(names)))
    labels[:3] = CLASSES  # each class has a row, and each column a 1
    path = tmp_path_factory.mktemp("table") / "labels.csv"
    path.write_bytes(WRITERS[how](frame(labels, names)))
    anomalies: list = []
    assert label_tables.looks_one_hot(path)
    taxonomy, rows = label_tables.read_ground_truth(path, anomalies)
    assert rows["image_id"].tolist() == names
    assert [taxonomy.classes[label] for label in rows["label"]] == labels
    assert anomalies == []


ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le with a mark", "utf-16-be with a mark", "cp1252")
QUOTING = (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_NONE)
#: Ids as people give them: letters of any kind, digits alone, spaces, dots; NFC, as the reader makes them.
free_ids = st.lists(
    st.from_regex(r"[A-Za-z0-9ÄÖÜäöüßéèñ€][A-Za-z0-9ÄÖÜäöüßéèñ€ _.-]{0,12}[A-Za-z0-9ß€]", fullmatch=True).filter(
        lambda name: csv_files.without_suffix(name) == name
    ),
    min_size=3, max_size=10, unique=True,
)  # fmt: skip


def encode(text: str, encoding: str) -> bytes:
    marks = {"utf-16-le with a mark": codecs.BOM_UTF16_LE, "utf-16-be with a mark": codecs.BOM_UTF16_BE}
    return marks[encoding] + text.encode(encoding[:9]) if encoding in marks else text.encode(encoding)


def _is_other_utf8(content: bytes, text: str) -> bool:
    """Whether bytes of an older encoding are a valid UTF-8 of another text: nobody can tell which was meant."""
    try:
        return content.decode("utf-8") != text
    except UnicodeDecodeError:
        return False


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@settings(max_examples=60, deadline=None)
@given(
    names=free_ids,
    quoting=st.sampled_from(QUOTING),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(ENCODINGS),
    named=st.booleans(),
    data=st.data(),
)
def test_diagnoses_in_any_dialect_read_back_the_same(
    separator, names, quoting, end, encoding, named, data, tmp_path_factory
):
    known = ["melanoma", "nevus", "Basal cell carcinoma"]
    words = known[:2] + data.draw(st.lists(st.sampled_from(known), min_size=len(names) - 2, max_size=len(names) - 2))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, quoting=quoting, lineterminator=end)
    head, rows = ["image", "diagnosis"], [list(row) for row in zip(names, words, strict=True)]
    if named:  # columns of row numbers, as pandas and R put them first
        head, rows = ["", *head], [[i, *row] for i, row in enumerate(rows)]
    writer.writerow(head)
    writer.writerows(rows)
    path = tmp_path_factory.mktemp("table") / "labels.csv"
    content = encode(text.getvalue(), encoding)
    assume(encoding != "cp1252" or not _is_other_utf8(content, text.getvalue()))
    path.write_bytes(content)
    anomalies: list = []
    taxonomy, table = diagnoses.read(path, "", anomalies)
    assert anomalies == []
    assert table["image_id"].tolist() == [unicodedata.normalize("NFC", name) for name in names]
    classes = {"melanoma": "MEL", "nevus": "NV", "Basal cell carcinoma": "BCC"}
    assert [taxonomy.classes[label] for label in table["label"]] == [classes[word] for word in words]


@pytest.mark.parametrize("convention", ["CSV", "CSV UTF-8", "CSV in a country with decimal commas", "Unicode text"])
def test_a_workbook_is_refused_and_its_export_read(tmp_path, convention):
    """What a cell holds as the export shows it: numbers bare or with a decimal comma, TRUE in capitals, cells that were
    only formatted as blanks."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    names = ["Läsion 1", "ISIC_0000002", "3", "4-b"]
    book.active.append(["image", *CLASSES, None])
    for name, label in zip(names, ("MEL", "NV", "BCC", "NV"), strict=True):
        book.active.append([name, *(float(label == c) if c == "MEL" else label == c for c in CLASSES), None])
    book.active.append([None] * 5)
    book.save(tmp_path / "labels.xlsx")
    with pytest.raises(UsageError, match=r"labels\.xlsx: a spreadsheet, not text; save the sheet as CSV"):
        open_source(str(tmp_path / "labels.xlsx"), DataConfig(), 0)
    (tmp_path / "renamed.csv").write_bytes((tmp_path / "labels.xlsx").read_bytes())
    with pytest.raises(UsageError, match=r"renamed\.csv: an Excel file or archive, not text; save the sheet as CSV"):
        csv_files.read_csv(tmp_path / "renamed.csv", [])
    comma = "decimal" in convention

    def shown(value) -> str:
        if isinstance(value, bool):
            return str(value).upper()
        if isinstance(value, (int, float)):
            return f"{value:.1f}".replace(".", ",") if comma else f"{value:g}"
        return "" if value is None else str(value)

    text = io.StringIO()
    writer = csv.writer(text, delimiter=";" if comma else "\t" if "text" in convention else ",", lineterminator="\r\n")
    sheet = openpyxl.load_workbook(tmp_path / "labels.xlsx").active
    writer.writerows([shown(cell) for cell in row] for row in sheet.iter_rows(values_only=True))
    encoding = {"CSV UTF-8": "utf-8-sig", "Unicode text": "utf-16"}.get(convention, "cp1252")
    path = tmp_path / "labels.csv"
    path.write_bytes((b"sep=;\r\n" if comma else b"") + text.getvalue().encode(encoding))
    anomalies: list = []
    taxonomy, rows = label_tables.read_ground_truth(path, anomalies)
    assert rows["image_id"].tolist() == names
    assert [taxonomy.classes[label] for label in rows["label"]] == ["MEL", "NV", "BCC", "NV"]
    assert anomalies == []


def test_rs_missing_values_are_rows_without_a_class(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text('"","image","diagnosis"\n"1","a",NA\n"2","b","nevus"\n"3","c","melanoma"\n')
    anomalies: list = []
    taxonomy, rows = diagnoses.read(path, "", anomalies)
    assert rows["image_id"].tolist() == ["b", "c"]
    assert [(a.what, a.where, a.why) for a in anomalies] == [("a", "labels.csv line 2", "no diagnosis")]
    path.write_text('"image" "MEL" "NV"\n"1" "a" TRUE FALSE\n"2" "b" NA NA\n"3" "c" FALSE TRUE\n')
    anomalies.clear()
    taxonomy, rows = label_tables.read_ground_truth(path, anomalies)
    assert [(name, taxonomy.classes[label]) for name, label in zip(rows["image_id"], rows["label"], strict=True)] == [
        ("a", "MEL"), ("c", "NV"),
    ]  # fmt: skip
    assert [(a.what, a.where) for a in anomalies] == [("b", "labels.csv line 3")]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.lists(st.text("ab ,;|\"'äß0.", max_size=6), min_size=3, max_size=3), min_size=1, max_size=8))
def test_any_text_in_quotes_reads_back_the_same(separator, rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator, quoting=csv.QUOTE_ALL)
        writer.writerow(["image", "b", "c", "d"])
        writer.writerows([f"i{i}", *row] for i, row in enumerate(rows))
    frame = csv_files.read_csv(path, [])
    assert frame[["b", "c", "d"]].to_numpy().tolist() == [[value.strip() for value in row] for row in rows]


def test_a_line_is_named_by_its_number_in_the_file(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("# a comment\n\nimage,MEL,NV\na,1,0\nb,0\n\nc,0,1\n")
    anomalies: list = []
    frame = csv_files.read_csv(path, anomalies)
    assert frame["line"].tolist() == [4, 7]
    assert [(a.what, a.where) for a in anomalies] == [("b", "t.csv line 5")]


def test_isic_2016_has_no_header(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("ISIC_0000000,benign\nISIC_0000002,malignant\nISIC_0000004,benign\n")
    frame = csv_files.read_csv(path, [])
    assert frame[["image", "label"]].to_numpy().tolist() == [
        ["ISIC_0000000", "benign"], ["ISIC_0000002", "malignant"], ["ISIC_0000004", "benign"],
    ]  # fmt: skip
    path.write_text("picture 1,kind\nISIC_0000000,benign\n")  # a header that is only unknown stays one
    assert "picture 1" in csv_files.read_csv(path, []).columns


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04" + bytes(200), "an Excel file or archive"),
        (b"image,MEL\0\n" + bytes(40), "bytes that are no text"),
        (b"image,MEL,MEL\na,1,0\n", "a column name stands twice"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, content, said):
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=f"labels.csv: .*{said}"):
        csv_files.read_csv(path, [])


@pytest.mark.parametrize("word", MISSING)
@pytest.mark.parametrize("column", ["lesion_id", "patient_id"])
def test_a_word_for_missing_is_no_id(tmp_path, word, column):
    from small_sources import folder, one_hot

    names = [f"x{i}" for i in range(12)]
    data = folder(tmp_path / "d", one_hot(names, ["MEL", "NV", "DF"] * 4), [f"{name}.jpg" for name in names])
    rows = [f"{name},{word if i % 2 else f'L{i}'}" for i, name in enumerate(names)]
    (tmp_path / "d/metadata.csv").write_text("\n".join([f"image,{column}", *rows]) + "\n")
    found = open_source(data, DataConfig(), 0).rows[column].tolist()
    assert found == ["" if i % 2 else f"L{i}" for i in range(12)]


def test_names_that_only_look_like_missing_words_stay():
    for name in ("NA1", "none-2", "Nann", "0", "unknown_3", "IL_7650237"):
        assert not csv_files.is_missing(name)
