"""Content credentials in generated pictures, read back by C2PA's own reader."""

from __future__ import annotations

import datetime
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("c2pa", reason="content credentials: pip install 'lesiongan[c2pa]'")

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lesiongan.base.errors import UsageError
from lesiongan.data.generated import DIGITAL_SOURCE_TYPE
from lesiongan.serving.content_credentials import Signer, credentials_of
from lesiongan.serving.picture_files import write_picture
from lesiongan.serving.xmp import facts_of

FACTS = {"class": "MEL", "seed": 7, "generator": "acgan", "generator_digest": "ab12"}
KEYS = {
    "p-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
}


def certified(folder: Path, key, purpose=ExtendedKeyUsageOID.EMAIL_PROTECTION) -> tuple[Path, Path]:
    """A certificate for the key by an authority of its own, and the key, as PEM files."""
    authority, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)

    def begun(name: str, public) -> x509.CertificateBuilder:
        subject, issuer = (
            x509.Name(
                [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test lab"), x509.NameAttribute(NameOID.COMMON_NAME, n)]
            )
            for n in (name, "authority")
        )
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(30))

    use = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
    own = (
        begun("signer", key.public_key())
        .add_extension(x509.BasicConstraints(False, None), True)
        .add_extension(x509.KeyUsage(digital_signature=True, **use), True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), False)
        .add_extension(identifier, False)
        .sign(authority, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(own.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private


def picture(path: Path, form: str = "png", source_type: str = DIGITAL_SOURCE_TYPE) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    write_picture(path, pixels, FACTS, form=form, source_type=source_type)
    return path


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("form", ["png", "jpeg"])
def test_a_signed_picture_is_valid_says_the_same_and_shows_the_same(tmp_path, kind, form):
    path = picture(tmp_path / f"a.{form}", form)
    before, pixels = facts_of(path), np.asarray(Image.open(path))
    signer = Signer(*certified(tmp_path / "pem", KEYS[kind]()))
    signer.sign(path)
    reader = c2pa.Reader(f"image/{form}", io.BytesIO(path.read_bytes()))
    manifest = reader.get_active_manifest()
    said = {assertion["label"]: assertion["data"] for assertion in manifest["assertions"]}
    (created,) = said["c2pa.actions.v2"]["actions"]
    assert (created["action"], created["digitalSourceType"]) == ("c2pa.created", DIGITAL_SOURCE_TYPE)
    assert said["org.lesiongan.provenance"] == before
    assert credentials_of(path) == {"credentials": "valid", "signed_by": "signer, Test lab"}
    assert facts_of(path) == before
    np.testing.assert_array_equal(np.asarray(Image.open(path)), pixels)
    signed = path.read_bytes()
    signer.sign(path)
    assert path.read_bytes() == signed


def test_a_picture_that_was_changed_since_is_not_valid(tmp_path):
    path = picture(tmp_path / "a.png")
    Signer(*certified(tmp_path / "pem", KEYS["p-256"]())).sign(path)
    data = bytearray(path.read_bytes())
    data[data.rindex(b"IDAT") + 8] ^= 1
    path.write_bytes(data)
    assert credentials_of(path)["credentials"] == "not valid: assertion.dataHash.mismatch"


def test_a_picture_without_credentials_and_a_file_that_is_none_have_none(tmp_path):
    assert credentials_of(picture(tmp_path / "a.png")) == {}
    (tmp_path / "b.txt").write_text("no picture")
    assert credentials_of(tmp_path / "b.txt") == {}


def test_a_photograph_is_not_signed(tmp_path):
    signer, path = Signer(*certified(tmp_path / "pem", KEYS["p-256"]())), picture(tmp_path / "a.png", source_type="")
    before = path.read_bytes()
    with pytest.raises(UsageError, match="does not say that it was generated"):
        signer.sign(path)
    assert path.read_bytes() == before


def test_a_certificate_that_is_not_for_this_leaves_the_file_alone(tmp_path):
    path = picture(tmp_path / "a.png")
    before = path.read_bytes()
    with pytest.raises(UsageError, match="sign"):
        Signer(*certified(tmp_path / "pem", KEYS["p-256"](), ExtendedKeyUsageOID.SERVER_AUTH)).sign(path)
    assert path.read_bytes() == before


def test_files_that_are_no_certificate_or_another_ones_key(tmp_path):
    certificate, key = certified(tmp_path / "pem", KEYS["p-256"]())
    other = certified(tmp_path / "other", KEYS["p-256"]())[1]
    for given, said in (
        ((certificate, other), "it is not the key of"),
        ((key, key), "no certificate in PEM form"),
        ((certificate, certificate), "no private key in PEM form"),
        ((tmp_path / "none.pem", key), "No such file"),
        (certified(tmp_path / "small", rsa.generate_private_key(65537, 1024)), "no signature of this kind of key"),
    ):
        with pytest.raises(UsageError, match=said):
            Signer(*given)
