"""Makes records.txt: records as an independent implementation of the standards protects them.

Key schedule and MACs: Python's hmac. AES-CCM, AES-GCM and AES-CBC: the `cryptography` package, which is OpenSSL. What goes
into nonces, additional data and MACs is written here a second time, from RFC 5246 section 6.2.3, RFC 6655 section 3, RFC 5288
section 3, RFC 7366 section 3 and RFC 9146 section 5.

    python3 records.py > records.txt
"""

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM

MASTER = bytes(range(48))
CLIENT_RANDOM = bytes(range(0x40, 0x60))
SERVER_RANDOM = bytes(range(0x80, 0xA0))
CID = bytes.fromhex("c1d0010203ff")


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def prf(secret, label, seed, length):
    seed = label + seed
    a, out = seed, b""
    while len(out) < length:
        a = mac(secret, a)
        out += mac(secret, a + seed)
    return out[:length]


def take(block, *lengths):
    for length in lengths:
        yield block[:length]
        block = block[length:]


def additional(kind, epoch, sequence, cid, length):
    number = struct.pack(">HHI", epoch, sequence >> 32, sequence & 0xFFFFFFFF)
    if cid:
        placeholder = b"\xff" * 8 + b"\x19" + bytes([len(cid)])
        return placeholder + b"\x19\xfe\xfd" + number + cid + struct.pack(">H", length)
    return number + bytes([kind]) + b"\xfe\xfd" + struct.pack(">H", length)


def aead(cipher, salt, head, content, number):
    return number + cipher.encrypt(salt + number, content, additional(*head, len(content)))


def cbc(mac_key, key, head, content, number, etm, extra):
    # NIST SP 800-38A appendix C: the IV is an encrypted nonce.
    iv = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(bytes(8) + number)
    plaintext = content if etm else content + mac(mac_key, additional(*head, len(content)) + content)
    padding = 16 - len(plaintext) % 16 + 16 * extra
    plaintext += bytes([padding - 1]) * padding
    sealed = iv + Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor().update(plaintext)
    return sealed + (mac(mac_key, additional(*head, len(sealed)) + sealed) if etm else b"")


def main():
    print("# suite side etm padding-blocks-beyond-need type epoch sequence cid content body; made by records.py")
    for suite in ("c0a8", "c02b", "00ae"):
        is_cbc = suite == "00ae"
        mac_length, salt_length = (32, 0) if is_cbc else (0, 4)
        block = prf(MASTER, b"key expansion", SERVER_RANDOM + CLIENT_RANDOM, 2 * (mac_length + 16 + salt_length))
        parts = list(take(block, mac_length, mac_length, 16, 16, salt_length, salt_length))
        for side in (0, 1):
            mac_key, key, salt = parts[side], parts[2 + side], parts[4 + side]
            for cid in (b"", CID):
                for index, length in enumerate((0, 1, 15, 16, 64, 333)):
                    sequence = (0, 1, 0x1_0000_0000, 7, 0xFFFF_FFFF_FFFF, 0x1234)[index]
                    kind = 25 if cid else (23, 22, 21)[index % 3]
                    content = bytes((i * 7 + length) & 0xFF for i in range(length)) + (b"\x17" if cid else b"")
                    head = (kind, 1, sequence, cid)
                    number = struct.pack(">HHI", 1, sequence >> 32, sequence & 0xFFFFFFFF)
                    ways = [(etm, extra) for etm in (0, 1) for extra in (0, 1, 15)] if is_cbc else [(0, 0)]
                    for etm, extra in ways:
                        if suite == "c0a8":
                            body = aead(AESCCM(key, tag_length=8), salt, head, content, number)
                        elif suite == "c02b":
                            body = aead(AESGCM(key), salt, head, content, number)
                        else:
                            body = cbc(mac_key, key, head, content, number, etm, extra)
                        fields = (suite, side, etm, extra, kind, 1, sequence, cid.hex() or "-", content.hex() or "-", body.hex())
                        print(*fields)


main()
