"""One file over HTTP with a congestion control of TCP: httpd.py PORT NAME FILE. Answers every request with the file."""
import socket, sys, threading

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, sys.argv[2].encode())
listener.bind(("0.0.0.0", int(sys.argv[1])))
listener.listen()
print("up", flush=True)


def answer(connection):
    with connection, open(sys.argv[3], "rb") as body:
        try:
            connection.recv(4096)
            length = body.seek(0, 2)
            body.seek(0)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
            connection.sendfile(body)
        except OSError:
            pass  # It has enough.


while True:
    threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
