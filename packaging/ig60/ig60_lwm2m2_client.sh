#!/bin/sh
# Runs the LwM2M agent with the arguments of this script, and puts an update in its place when it asks for that.
#
# When the agent ends with 65, the file that it has put into the folder of updates (LAPWING_UPDATE) takes the place of its executable,
# and is started with the same arguments. With any other code, this script ends too, with that code.
#
# An update is on trial until the agent has registered at a server: it says so by removing the file that LAPWING_TRIAL names. When it
# ends before, does not register in time, or was started three times in vain, the executable that ran before it comes back.
#
# Set in the environment for other machines than the one this is made for:
#   LAPWING_INITIAL        the executable that is copied where there is none yet
#   LAPWING_RUN            the folder of the one that runs
#   LAPWING_UPDATES        the folder of updates; an update has the name of the executable. Where other users can write to it, one is
#                          made that they cannot
#   LAPWING_TRIAL_SECONDS  how long an update may take to register
# Set by the package that replaces the first client of this gateway, below whose runner this one runs then:
#   LAPWING_BELOW          what that runner starts, in whose place the initial executable comes when nothing else is left
set -u

initial=${LAPWING_INITIAL:-/usr/bin/lwm2m-python-client}
folder=${LAPWING_RUN:-/gg/lwm2m}
updates=${LAPWING_UPDATES:-/tmp/swupdate}
trial_seconds=${LAPWING_TRIAL_SECONDS:-300}

export LAPWING_RUN="$folder"
executable=$folder/${initial##*/}
previous=$executable.previous
LAPWING_TRIAL=$folder/trial
export LAPWING_TRIAL
over=$LAPWING_TRIAL.over
elf=$(printf '\177ELF')

made=
agent=
stopping=
signalled=

say() {
    echo "${0##*/}: $*" >&2
}

# Copies $1 to $2 in one step: a power cut leaves the old file or the new one.
place() {
    cp "$1" "$2.new" && chmod 755 "$2.new" && sync && mv -f "$2.new" "$2" && sync
}

# Whether a folder is this user's own: whoever else could write there would choose what this user runs.
is_own() {
    [ -n "$(find "$1" -prune -type d -user "$(id -u)" ! -perm -020 ! -perm -002 2>/dev/null)" ]
}

# The folder of updates, by a name that anybody knows and may have taken, as in /tmp.
claim_updates() {
    (umask 077 && mkdir -p "$updates") 2>/dev/null
    if ! is_own "$updates"; then
        say "others than this user can write to $updates"
        made=$(mktemp -d) && updates=$made
    fi
    update=$updates/${initial##*/}
    LAPWING_UPDATE=$update
    export LAPWING_UPDATE
}

tidy() {
    [ -z "$made" ] || rm -rf "$made"
}

# What was made for the agent that this one replaces is a program for Python.
launch() {
    magic=$(dd if="$executable" bs=4 count=1 2>/dev/null)
    case $magic in
        "$elf" | '#!'*) "$executable" "$@" & ;;
        *) python "$executable" "$@" & ;;
    esac
    agent=$!
    if [ -n "$stopping" ]; then
        # A signal came just before. The agent is a copy of this shell at first, which may lose its own.
        sleep 1
        kill "$agent"
    fi
}

# shellcheck disable=SC2317 # the traps call it
pass_on() {
    signalled=1
    stopping=1
    [ -z "$agent" ] || kill -s "$1" "$agent" 2>/dev/null
}

# The exit code of the agent. A signal that is passed on ends the first wait.
reap() {
    wait "$agent"
    code=$?
    while [ -n "$signalled" ]; do
        signalled=
        wait "$agent"
        again=$?
        # 127: the first wait had it.
        [ "$again" -eq 127 ] || code=$again
    done
    agent=
}

# Ends an agent that does not register. The file is renamed first: whoever comes later, agent or clock, finds none.
watch() {
    left=$trial_seconds
    while [ "$left" -gt 0 ]; do
        sleep 1
        left=$((left - 1))
        [ -e "$LAPWING_TRIAL" ] && is_alive || return
    done
    mv "$LAPWING_TRIAL" "$over" 2>/dev/null || return
    say "the update has not registered within $trial_seconds s"
    kill "$agent"
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        sleep 1
        is_alive || return
    done
    kill -s KILL "$agent"
}

is_alive() {
    kill -0 "$agent" 2>/dev/null
}

on_trial() {
    [ -e "$LAPWING_TRIAL" ] || [ -e "$over" ]
}

# What came with the machine comes back; below another runner, which started this one instead, for that one to go on with.
go_back() {
    if [ -z "${LAPWING_BELOW:-}" ]; then
        mkdir -p "$folder" && place "$initial" "$executable" || exit 1
        return
    fi
    place "$initial" "$LAPWING_BELOW" || LAPWING_BELOW=$initial
    rm -rf "$folder"
    sync
    # A signal that came meanwhile was meant for the agent that is gone.
    [ -z "$stopping" ] || exit 0
    tidy
    unset LAPWING_TRIAL LAPWING_RUN LAPWING_UPDATE
    exec python "$LAPWING_BELOW" "$@"
}

# The mark of the trial goes last: what a power cut interrupts is done again. So what comes back is copied: moved, it would be missing
# then, and what came with the machine would come back instead. It is moved where there is no room for a copy.
roll_back() {
    say "the executable before the update comes back"
    if [ ! -e "$previous" ] || ! place "$previous" "$executable"; then
        mv -f "$previous" "$executable" 2>/dev/null || go_back "$@"
    fi
    sync
    rm -f "$LAPWING_TRIAL" "$over"
    sync
    rm -f "$previous"
}

# The mark comes first: no executable that may not register is ever started without it.
take_update() {
    if ! is_own "$updates"; then
        say "others than this user can write to $updates"
        sleep 1
        return
    fi
    if [ ! -e "$update" ]; then
        say "there is no update in $updates"
        sleep 1
        return
    fi
    if place "$executable" "$previous" && echo 0 >"$LAPWING_TRIAL" && place "$update" "$executable"; then
        say "the update is on trial"
    else
        say "the update cannot be put in place"
        rm -f "$LAPWING_TRIAL"
    fi
}

# One more start of what is on trial, if it may have one.
count() {
    [ ! -e "$over" ] || return 1
    tries=$(cat "$LAPWING_TRIAL" 2>/dev/null)
    case $tries in
        # A power cut may have left it empty.
        '' | *[!0-9]*) tries=2 ;;
    esac
    [ "$tries" -lt 3 ] && echo $((tries + 1)) >"$LAPWING_TRIAL" && sync
}

for argument; do
    case $argument in
        -h | --help)
            [ -e "$executable" ] || executable=$initial
            launch "$@"
            reap
            exit "$code"
            ;;
    esac
done

trap 'pass_on TERM' TERM
trap 'pass_on INT' INT
trap 'pass_on HUP' HUP

claim_updates

if [ ! -e "$executable" ]; then
    go_back "$@"
    rm -f "$LAPWING_TRIAL" "$over"
fi

while [ -z "$stopping" ]; do
    watchdog=
    if on_trial && ! count; then
        roll_back "$@"
    fi
    launch "$@"
    if on_trial; then
        watch &
        watchdog=$!
    fi
    reap
    # It sees within a second that there is no agent.
    [ -z "$watchdog" ] || wait "$watchdog"
    [ -z "$stopping" ] || break
    if on_trial; then
        say "the update has ended with $code before it had registered"
        roll_back "$@"
    elif [ "$code" -eq 65 ]; then
        take_update
    else
        break
    fi
done
# A signal came before an update could be taken. To the runner below which this one may run, 65 would say to put that update, which is
# no program for Python, in the place of what it starts: nothing would come up again.
[ "${code:-0}" -ne 65 ] || code=0
tidy
exit "${code:-0}"
