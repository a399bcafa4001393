"""Content credentials (C2PA 2): what a generated picture says of itself, signed with a certificate of the user's.

A manifest in the file, bound to it by a hash: IPTC's digital source type, the generator, and the facts that the file's
XMP has. Whoever trusts the certificate can then tell what was changed since. The work is done by `c2pa-python` of the
Content Authenticity Initiative (the extra `c2pa`).
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lesiongan import __version__
from lesiongan.base.errors import UsageError
from lesiongan.base.files import whole_file
from lesiongan.serving.xmp import SOURCE_TYPE, facts_of

#: The first bytes of files that can be signed -> media type.
_FORMS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
#: No picture of the picture in it, which would be the larger one.
_SETTINGS = {"builder": {"thumbnail": {"enabled": False}}}


class Signer:
    """Signs files in place.

    Args:
        certificate: PEM file, the signing certificate first, then those that vouch for it but for the root.
        key: PEM file, its private key, without a password: P-256, P-384, P-521, Ed25519 or RSA of 2,048 bits or more.
        timestamps: URL of a time-stamping authority (RFC 3161); "" leaves the time out.

    Raises:
        UsageError: the extra is not installed, a file cannot be read, or the two do not belong together.
    """

    def __init__(self, certificate: Path, key: Path, timestamps: str = ""):
        self._c2pa = _library()
        chain, private = _read(certificate, "certificate"), _read(key, "key")
        info = self._c2pa.C2paSignerInfo(
            alg=_algorithm(chain, private, certificate, key),
            sign_cert=chain,
            private_key=private,
            ta_url=timestamps or None,
        )
        try:
            signer = self._c2pa.Signer.from_info(info)
        except self._c2pa.C2paError as error:
            raise UsageError(f"{certificate}: cannot be signed with: {error}") from None
        settings = self._c2pa.Settings.from_dict(_SETTINGS)
        self._context = self._c2pa.Context(settings=settings, signer=signer)

    def sign(self, path: Path) -> None:
        """Writes the credentials into a PNG or JPEG file that says that it was generated, whole or not at all. One that
        has some is left as it is.

        Raises:
            UsageError: no such file, it is no generated picture, or the certificate is not one for this.
        """
        facts = generated_facts(path)
        if credentials_of(path):
            return
        data, signed = path.read_bytes(), io.BytesIO()
        manifest = json.dumps(_manifest(path.name, facts))
        try:
            with self._c2pa.Builder.from_json(manifest, self._context) as builder:
                builder.sign(_form(data), io.BytesIO(data), signed)
        except self._c2pa.C2paError as error:
            raise UsageError(f"{path}: the certificate cannot sign it: {error}") from None
        with whole_file(path) as file:
            file.write(signed.getvalue())


def credentials_of(path: Path) -> dict[str, str]:
    """The content credentials of a PNG or JPEG file: `credentials`, `valid` or what is wrong, and `signed_by`; empty
    where it has none, or where the extra is not installed.

    Whether the certificate is to be trusted is not looked at: it may be anybody's.
    """
    try:
        library = _library()
    except UsageError:
        return {}
    data = path.read_bytes()
    if not (form := _form(data)):
        return {}
    try:
        with library.Reader(form, io.BytesIO(data)) as reader:
            manifest, results = reader.get_active_manifest() or {}, reader.get_validation_results() or {}
    except library.C2paError as error:
        none = "ManifestNotFound" in str(error)
        return {} if none else {"credentials": f"cannot be read: {str(error).splitlines()[0]}"}
    failures = [failure["code"] for failure in results.get("activeManifest", {}).get("failure", [])]
    wrong = [code for code in failures if code != "signingCredential.untrusted"]
    by = manifest.get("signature_info", {})
    signed_by = ", ".join(by[key] for key in ("common_name", "issuer") if by.get(key))
    return {"credentials": f"not valid: {', '.join(wrong)}" if wrong else "valid", "signed_by": signed_by}


def generated_facts(path: Path) -> dict[str, str]:
    """What a generated picture's file says of it (`xmp.facts_of`).

    Raises:
        UsageError: no such file, or it does not say that it was generated.
    """
    facts = facts_of(path)
    if not facts.get(SOURCE_TYPE):
        raise UsageError(f"{path}: it does not say that it was generated, and is not signed; give generated pictures")
    return facts


def _manifest(title: str, facts: Mapping[str, str]) -> dict[str, Any]:
    """C2PA's technical specification 2.1: a `c2pa.created` action says by what and of which source type."""
    agent = {"name": facts.get("generator", "lesiongan")}
    created = {"action": "c2pa.created", "digitalSourceType": facts[SOURCE_TYPE], "softwareAgent": agent}
    return {
        "claim_generator_info": [{"name": "lesiongan", "version": __version__}],
        "title": title,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
            {"label": "org.lesiongan.provenance", "data": dict(facts)},
        ],
    }


def _library() -> Any:
    try:
        import c2pa
    except ImportError:
        raise UsageError("content credentials need the extra `c2pa`: pip install 'lesiongan[c2pa]'") from None
    return c2pa


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"--{what} {path}: {error.strerror}; give a PEM file") from None


def _form(data: bytes) -> str:
    return next((form for start, form in _FORMS.items() if data.startswith(start)), "")


def _algorithm(chain: bytes, private: bytes, certificate: Path, key: Path) -> bytes:
    """What C2PA calls the signature of a key, once it is known to be the certificate's."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    try:
        first = x509.load_pem_x509_certificates(chain)[0]
    except ValueError:
        raise UsageError(f"--certificate {certificate}: no certificate in PEM form; give one") from None
    try:
        own = serialization.load_pem_private_key(private, password=None)
    except (ValueError, TypeError):
        raise UsageError(f"--key {key}: no private key in PEM form without a password; give one") from None
    if own.public_key() != first.public_key():
        raise UsageError(f"--key {key}: it is not the key of {certificate}; give the one that belongs to it")
    if isinstance(own, ec.EllipticCurvePrivateKey) and own.key_size in (256, 384, 521):
        return b"es512" if own.key_size == 521 else f"es{own.key_size}".encode()
    if isinstance(own, ed25519.Ed25519PrivateKey):
        return b"ed25519"
    if isinstance(own, rsa.RSAPrivateKey) and own.key_size >= 2048:
        return b"ps256"
    raise UsageError(f"--key {key}: C2PA knows no signature of this kind of key; give P-256, Ed25519 or RSA-2048")
