# Read by the scripts of the tests: what they need of Debian, and installing what is missing.

# Whether something is there. Debian keeps daemons in sbin, which is not on everybody's PATH. A library is there when pkg-config knows
# it, a service when systemd has its unit, a module when Python finds it, and what has a slash when the file is.
have() {
    case "$1" in
        */*) [ -e "$1" ] ;;
        *.pc) pkg-config --exists "${1%.pc}" 2>/dev/null ;;
        *.service) [ -e "/lib/systemd/system/$1" ] ;;
        *.py) python3 -c "import ${1%.py}" 2>/dev/null ;;
        *) PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null ;;
    esac
}

# provide WHAT=PACKAGE...: installs the packages of what is missing, and fails where something is missing still. A subshell, so that
# its trap is its own.
provide() (
    missing=() lost=() root=()
    for pair in "$@"; do
        have "${pair%%=*}" || missing+=("${pair#*=}")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        echo "nothing to install"
        exit
    fi
    echo "missing: ${missing[*]}"
    have apt-get || { echo "no apt-get here; install them yourself"; exit 1; }
    [ "$(id -u)" -eq 0 ] || root=(sudo)
    # A package must not start its service: the tests start their own brokers.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap '"${root[@]}" rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
        "${root[@]}" chmod 755 "$policy"
    fi
    "${root[@]}" apt-get update -q &&
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
    for pair in "$@"; do
        have "${pair%%=*}" || lost+=("${pair%%=*}")
    done
    [ ${#lost[@]} -eq 0 ] || { echo "still missing: ${lost[*]}"; exit 1; }
)
