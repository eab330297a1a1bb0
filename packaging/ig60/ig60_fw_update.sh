#!/bin/sh
# Installs a firmware image on the side of an IG60 that does not run:
#
#   ig60_fw_update.sh FILE
#
# SWUpdate writes the image to the side opposite to `bootside` of the boot loader's environment. `bootside` names that side only
# once all is written, so that the gateway boots what it has booted before whatever goes wrong. FILE is removed when done. It does
# not reboot.
#
# The exit code is the update result of LwM2M's Firmware Update (/5/0/5): 1 is success, 8 is failure.
#
# From the environment, where a device differs:
#   IG60_SELECTION   software set and running mode, before the side: stable,main-
#   IG60_SWUPDATE    SWUpdate and its options, without -e and -i: swupdate -v
#   IG60_PRINTENV    fw_printenv
#   IG60_SETENV      fw_setenv
#   IG60_LOCK        a folder that is there while an update runs, where no other user may make one: /run/ig60_fw_update.lock

SUCCESS=1
FAILURE=8

selection=${IG60_SELECTION:-stable,main-}
swupdate=${IG60_SWUPDATE:-swupdate -v}
printenv=${IG60_PRINTENV:-fw_printenv}
setenv=${IG60_SETENV:-fw_setenv}
lock=${IG60_LOCK:-/run/ig60_fw_update.lock}

fail() {
    echo "ig60_fw_update: $*" >&2
    exit $FAILURE
}

[ $# -eq 1 ] || fail "usage: ig60_fw_update.sh FILE"
image=$1
[ -f "$image" ] || fail "$image: there is no such file"

# Two at once would write to the same side.
if ! mkdir "$lock" 2>/dev/null; then
    owner=$(cat "$lock/pid" 2>/dev/null)
    if [ -n "$owner" ] && kill -0 "$owner" 2>/dev/null; then
        fail "another update runs, as process $owner"
    fi
    rm -rf "$lock"
    mkdir "$lock" || fail "$lock cannot be made"
fi
echo $$ > "$lock/pid"
trap 'rm -rf "$lock"; rm -f "$image"' EXIT
# A signal ends it by way of the trap above.
trap 'exit $FAILURE' HUP INT TERM

side=$($printenv -n bootside) || fail "bootside cannot be read"
case $side in
    a) other=b ;;
    b) other=a ;;
    A) other=B ;;
    B) other=A ;;
    *) fail "bootside is \`$side\`, which is no side" ;;
esac

echo "ig60_fw_update: side $side is booted, $image goes to side $other"
# Its exit code alone is not enough: of version 2022.12 it now and then is that of a helper, 1, although all is written. Nor are its words:
# names from the image are among them, which nobody has signed. Where it has failed it has said so, in whatever comes besides. And now
# and then that helper ends it before it has said either: then it is asked once more, as the side is not booted yet.
for _ in 1 2; do
    { $swupdate -e "$selection$other" -i "$image"; echo $? > "$lock/code"; } 2>&1 | tee "$lock/log"
    code=$(cat "$lock/code")
    [ "$code" != 0 ] || break
    ! grep -q -e '^\[ERROR' -e 'SWUPDATE failed' "$lock/log" || break
    if grep -q 'SWUPDATE successful !' "$lock/log"; then
        code=0
        break
    fi
done
[ "$code" = 0 ] || fail "swupdate has failed with exit code $code: side $side stays"
$setenv bootside "$other" || fail "bootside cannot be set: side $side stays"
echo "ig60_fw_update: side $other is booted next"
exit $SUCCESS
