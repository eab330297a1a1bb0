"""Delays and loses what a queue of netfilter holds: netem.py QUEUE SECONDS LOSS. A kernel without netem needs it. Module: NetfilterQueue."""
import collections, random, select, sys, time
from netfilterqueue import NetfilterQueue

number, delay, loss = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
held = collections.deque()


def take(packet):
    if random.random() < loss:
        packet.drop()
    else:
        packet.retain()
        held.append((time.monotonic() + delay, packet))


queue = NetfilterQueue()
queue.bind(number, take, max_len=100_000)
print("up", flush=True)
while True:
    wait = max(0, held[0][0] - time.monotonic()) if held else None
    if select.select([queue.get_fd()], [], [], wait)[0]:
        queue.run(block=False)
    while held and held[0][0] <= time.monotonic():
        held.popleft()[1].accept()
