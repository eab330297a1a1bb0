"""Prints what Python's argparse makes of command lines, one JSON document a line, for the options of the IG60's first client.

The parser is written from their description: names, types and defaults. `--server` is given to it as one more name, since that
client's own documentation has it.
"""

import argparse
import contextlib
import io
import json
import random

NAMES = [
    "-h", "--help", "-p", "--port", "-bs", "--bootstrap-address", "-bp", "--bootstrap-port", "-bk", "--bootstrap-psk", "-s",
    "--server", "--server-address", "-sp", "--server-port", "-sk", "--server-psk", "-e", "--endpoint", "-l", "--lifetime", "-d",
    "--debug",
]
VALUES = ["192.0.2.1", "5684", "my-ig60", "", "-5", "-.5", "-1.5", "- a", "-a b", "0", " 7 ", "+8", "1_0x", "abc", "00ff", "-", "ü"]
STRANGE = ["--", "-x", "--unknown", "-b", "--s", "--server-p", "-z5", "--=", "-=", "---", "--debug=1", "-dh", "-dl5", "-dz"]


def parser():
    made = argparse.ArgumentParser()
    made.add_argument("-p", "--port", type=int, default=5782)
    made.add_argument("-bs", "--bootstrap-address", default="")
    made.add_argument("-bp", "--bootstrap-port", default="5683")
    made.add_argument("-bk", "--bootstrap-psk", default="")
    made.add_argument("-s", "--server-address", "--server", dest="server_address", default="")
    made.add_argument("-sp", "--server-port", type=int, default=0)
    made.add_argument("-sk", "--server-psk", default="")
    made.add_argument("-e", "--endpoint", default="python-client")
    made.add_argument("-l", "--lifetime", type=int, default=3600)
    made.add_argument("-d", "--debug", action="store_true")
    return made


def outcome(arguments):
    """The values, or the exit code."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            return vars(parser().parse_args(arguments))
        except SystemExit as end:
            return end.code


def word(choose):
    """A part of a command line: an option in one of its forms, with or without a value, or something strange."""
    kind = choose.random()
    if kind < 0.1:
        return [choose.choice(STRANGE)]
    if kind < 0.15:
        return [choose.choice(VALUES)]
    name = choose.choice(NAMES)
    if name.startswith("--") and choose.random() < 0.5:
        name = name[: choose.randint(3, len(name))]
    value = choose.choice(VALUES)
    form = choose.random()
    if name in ("-h", "-d", "--help", "--debug") or form < 0.05:
        return [name]
    if form < 0.7:
        return [name, value]
    return [name + "=" + value] if form < 0.85 else [name + value]


def main():
    choose = random.Random(60)
    lines = [[], ["--server", "192.0.2.1", "--server-port", "5684", "-e", "my-ig60"]]
    lines += [[name] for name in NAMES + STRANGE] + [[name, "5"] for name in NAMES]
    lines += [sum((word(choose) for _ in range(choose.randint(1, 4))), []) for _ in range(600)]
    for line in lines:
        print(json.dumps([line, outcome(line)], ensure_ascii=False))


if __name__ == "__main__":
    main()
