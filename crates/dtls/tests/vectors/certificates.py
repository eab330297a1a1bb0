"""Makes the keys and certificates in x509/, by the `cryptography` package (OpenSSL). All of them are for tests only.

    python3 certificates.py

The other forms of leaf's key, and a signature:

    openssl pkey -inform DER -in leaf.key.der -out leaf.pkcs8.pem
    (openssl ecparam -name prime256v1; openssl ec -in leaf.pkcs8.pem) > leaf.sec1.pem
    openssl ec -in leaf.pkcs8.pem -outform DER -out leaf.sec1.der
    openssl pkey -in leaf.pkcs8.pem -pubout -outform DER -out leaf.spki.der
    printf 'signed by openssl' | openssl dgst -sha256 -sign leaf.pkcs8.pem -out leaf.signature.der
"""

import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization as s
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

OUT = pathlib.Path(__file__).parent / "x509"


def year(number):
    return datetime.datetime(number, 1, 1, tzinfo=datetime.timezone.utc)


def save(name, key, certificate=None):
    if name in ("leaf", "client"):
        private = key.private_bytes(s.Encoding.DER, s.PrivateFormat.PKCS8, s.NoEncryption())
        (OUT / f"{name}.key.der").write_bytes(private)
    if certificate:
        (OUT / f"{name}.der").write_bytes(certificate.public_bytes(s.Encoding.DER))


def make(name, cn, issuer=None, key=None, ca=False, alternative=(), years=(2020, 2100), digest=None, usage=None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
    issuer_key, issuer_name = (issuer[0], issuer[1].subject) if issuer else (key, subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(year(years[0]))
        .not_valid_after(year(years[1]))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if alternative:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    certificate = builder.sign(issuer_key, digest or hashes.SHA256())
    save(name, key, certificate)
    return key, certificate


def main():
    OUT.mkdir(exist_ok=True)
    root = make("root", "Lapwing test root", ca=True)
    other = make("other-root", "Another test root", ca=True)
    middle = make("middle", "Lapwing test intermediate", root, ca=True)
    make("leaf", "server", middle, alternative=[x509.DNSName("lwm2m.example")])
    make("leaf-ip-cn", "127.0.0.1", root)
    make("leaf-ip6-cn", "2001:db8:0:0::1", root)
    make("leaf-ip-uri", "server", root, alternative=[x509.UniformResourceIdentifier("coaps://192.0.2.7:5684")])
    make("leaf-ip-san", "server", root, alternative=[x509.IPAddress(ipaddress.ip_address("192.0.2.7"))])
    make("leaf-expired", "server", root, alternative=[x509.DNSName("lwm2m.example")], years=(2020, 2021))
    make("leaf-client-only", "server", root, alternative=[x509.DNSName("lwm2m.example")], usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    make("client", "urn:imei:490154203237518", root)
    make("self-signed", "anything", years=(2020, 2021))
    make("self-signed-ca", "anything", ca=True)
    p384 = make("p384-root", "P-384 root", key=ec.generate_private_key(ec.SECP384R1()), ca=True, digest=hashes.SHA384())
    make("leaf-by-p384", "server", p384, alternative=[x509.DNSName("lwm2m.example")], digest=hashes.SHA384())
    make("leaf-rsa", "server", root, key=rsa.generate_private_key(65537, 2048), alternative=[x509.DNSName("lwm2m.example")])
    late = make("middle-late", "Intermediate of 2050", root, ca=True, years=(2050, 2060))
    make("leaf-never-valid", "server", late, alternative=[x509.DNSName("lwm2m.example")], years=(2030, 2040))


main()
