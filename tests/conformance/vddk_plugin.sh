#!/bin/sh
# A stand-in for nbdkit's vddk plugin and the library behind it: it takes the same parameters, refuses what they would
# refuse, and serves FERRY_TEST_DISK, or the flat base of the file under FERRY_TEST_STORES. What it was told goes to FERRY_TEST_TOLD; of the password only its length.
d="$tmpdir"
if [ -n "$FERRY_TEST_STORES" ] && [ -e "$d/file" ]; then
  named="$(cat "$d/file")"; store="${named%%]*}"; inside="${named#*] }"
  FERRY_TEST_DISK="$FERRY_TEST_STORES/${store#[}/${inside%.vmdk}-flat.vmdk"
fi
case "$1" in
  magic_config_key) echo file ;;
  config)
    case "$2" in
      libdir|server|port|user|thumbprint|vm|snapshot|transports|file) printf '%s=%s\n' "$2" "$3" >> "$FERRY_TEST_TOLD"; printf '%s' "$3" > "$d/$2" ;;
      password)
        case "$3" in
          -*) IFS= read -r secret < "/dev/fd/${3#-}"; printf 'password: %s characters\n' "${#secret}" >> "$FERRY_TEST_TOLD"; printf '%s' "$secret" > "$d/password" ;;
          *) echo "EINVAL a password in the clear" >&2; exit 1 ;;
        esac ;;
      *) echo "EINVAL unknown parameter $2" >&2; exit 1 ;;
    esac ;;
  config_complete)
    for each in libdir server user password thumbprint vm file; do
      [ -e "$d/$each" ] || { echo "EINVAL $each is missing" >&2; exit 1; }
    done
    [ -d "$(cat "$d/libdir")" ] || { echo "ENOENT libvixDiskLib.so.8: cannot open shared object file" >&2; exit 1; }
    [ "$(cat "$d/password")" = "$FERRY_TEST_PASSWORD" ] || { echo "EPERM VixDiskLib_ConnectEx: Incorrect user name or password" >&2; exit 1; } ;;
  open) echo handle ;;
  get_size) stat -L -c %s "$FERRY_TEST_DISK" ;;
  can_extents|can_multi_conn) exit 0 ;;
  pread)
    if [ -n "$FERRY_TEST_BREAKS_AT" ] && [ "$4" -ge "$FERRY_TEST_BREAKS_AT" ]; then echo "EIO VixDiskLib_Read: NFC error" >&2; exit 1; fi
    if [ -n "$FERRY_TEST_HANGS_AT" ] && [ "$4" -ge "$FERRY_TEST_HANGS_AT" ]; then exec sleep 15; fi
    dd iflag=skip_bytes,count_bytes bs=1M skip="$4" count="$3" if="$FERRY_TEST_DISK" 2>/dev/null ;;
  extents) printf '0 %s 0\n' "$(stat -L -c %s "$FERRY_TEST_DISK")" ;;
  *) exit 2 ;;
esac
