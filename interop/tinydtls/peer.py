"""tinydtls (PyPI's DTLSSocket) as a test peer: what it hears it prints, what it reads it sends; both are lines.

peer.py client|server HOST PORT IDENTITY KEY_IN_HEX; a server's port may be 0, and it prints `port N` first.
It ends when standard input does.
"""
import os
import select
import socket
import sys

from DTLSSocket import dtls

role, host, port, identity, key = sys.argv[1:6]
identity, key = identity.encode(), bytes.fromhex(key)
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
udp.bind((host, int(port) if role == "server" else 0))
peer = None  # the address of whom we speak with


def read(address, data):
    global peer
    peer = address
    sys.stdout.write(data.decode())
    sys.stdout.flush()
    return len(data)


def write(address, data):
    try:
        return udp.sendto(data, address)
    except OSError:  # nobody listens there yet
        return len(data)


def event(level, code):
    if code == 0x1DE:  # DTLS_EVENT_CONNECTED
        print("connected", flush=True)


engine = dtls.DTLS(read=read, write=write, event=event, pskId=identity, pskStore={identity: key})
if role == "server":
    print("port", udp.getsockname()[1], flush=True)
else:
    peer = (host, int(port))
    connection = engine.connect(*peer)  # kept: the association ends with it
lines = b""
while True:
    ready, _, _ = select.select([udp, 0], [], [], 0.2)
    engine.checkRetransmit()
    if udp in ready:
        data, source = udp.recvfrom(2048)
        engine.handleMessageAddr(source[0], source[1], data)
    if 0 in ready:
        chunk = os.read(0, 4096)
        if not chunk:
            break
        lines += chunk
        while b"\n" in lines:
            line, lines = lines.split(b"\n", 1)
            engine.write(dtls.Session(*peer), line + b"\n")
