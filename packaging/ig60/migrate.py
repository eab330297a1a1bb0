"""Puts Lapwing in the place of the LwM2M client that the IG60 came with.

This is `__main__.py` of a zip archive that Python runs. The runner of that client keeps no copy of what an update replaces, and will
run this archive with Python from now on. So it unpacks Lapwing, and a runner that does take back what does not register, into a
folder beside itself, and goes on as that runner. When Lapwing does not register in time, the client of /usr/bin takes the place of
this archive.
"""

import os
import shutil
import sys
import zipfile

NAME = "lwm2m-python-client"
RUNNER = "ig60_lwm2m2_client.sh"
# Says which archive a folder was unpacked from.
PACKAGE = "package"

ARCHIVE = os.path.abspath(sys.argv[0])
HOME = os.path.join(os.path.dirname(ARCHIVE), "lapwing")
INITIAL = os.environ.get("LAPWING_INITIAL", "/usr/bin/" + NAME)


def sync(path):
    """Has a file or a folder on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(path, copy):
    """Gives a file the content that `copy` writes, in one step: a power cut leaves the old one or the new one."""
    with open(path + ".new", "wb") as target:
        copy(target)
        target.flush()
        os.fsync(target.fileno())
    os.chmod(path + ".new", 0o755)
    os.rename(path + ".new", path)
    sync(os.path.dirname(path))


def unpack(archive, name, path):
    """Gives a file the content of an entry, whose checksum is compared."""
    with archive.open(name) as source:
        replace(path, lambda target: shutil.copyfileobj(source, target))


def is_unpacked(package):
    """Whether the folder is there, from this archive. It is made in one step."""
    try:
        with open(os.path.join(HOME, PACKAGE), "rb") as known:
            return known.read() == package
    except OSError:
        return False


def prepare():
    """Unpacks, on trial, what this archive has, unless it was unpacked before."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        package = archive.read(PACKAGE)
        if is_unpacked(package):
            return
        fresh = HOME + ".new"
        for old in (HOME, fresh):
            shutil.rmtree(old, ignore_errors=True)
        os.mkdir(fresh)
        for name in (NAME, RUNNER, PACKAGE):
            unpack(archive, name, os.path.join(fresh, name))
        replace(os.path.join(fresh, "trial"), lambda target: target.write(b"0\n"))
        os.rename(fresh, HOME)
        sync(os.path.dirname(HOME))


def go_back():
    """Puts the client of /usr/bin in the place of this archive, and goes on as that."""
    client = ARCHIVE
    try:
        with open(INITIAL, "rb") as source:
            replace(ARCHIVE, lambda target: shutil.copyfileobj(source, target))
    except OSError as error:
        print("%s: %s" % (ARCHIVE, error), file=sys.stderr)
        client = INITIAL
    for folder in (HOME, HOME + ".new"):
        shutil.rmtree(folder, ignore_errors=True)
    os.execv(sys.executable, [sys.executable, client] + sys.argv[1:])


def below_lapwings_runner(trial):
    """That runner needs no archive. It has come with a system that is newer than this; or somebody takes this for an update."""
    if os.path.exists(trial):
        sys.exit("%s: this package replaces the first client, and is no update of Lapwing" % ARCHIVE)
    try:
        with open(os.path.join(HOME, NAME), "rb") as source:
            replace(ARCHIVE, lambda target: shutil.copyfileobj(source, target))
    except OSError:
        with zipfile.ZipFile(ARCHIVE) as archive:
            unpack(archive, NAME, ARCHIVE)
    os.execv(ARCHIVE, [ARCHIVE] + sys.argv[1:])


def main():
    if "LAPWING_TRIAL" in os.environ:
        below_lapwings_runner(os.environ["LAPWING_TRIAL"])
    try:
        prepare()
        environment = dict(os.environ, LAPWING_RUN=HOME, LAPWING_BELOW=ARCHIVE)
        os.execve("/bin/sh", ["/bin/sh", os.path.join(HOME, RUNNER)] + sys.argv[1:], environment)
    except Exception as error:  # Whatever it is, the gateway has to stay within reach.
        print("%s: %s" % (ARCHIVE, error), file=sys.stderr)
        go_back()


main()
