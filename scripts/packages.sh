# shellcheck shell=bash
# Sourced by the other scripts: says which Debian packages are missing, in one
# apt line, and installs them when that is wanted.
#
#     want rsync has rsync          # package, then the command that finds it
#     install_missing "$yes"        # "yes" installs unasked

# Where Debian keeps programs that only root needs, and rustup its own.
PATH="$PATH:/usr/sbin:/sbin:${CARGO_HOME:-$HOME/.cargo}/bin"
export PATH

missing=()

has() {
    command -v -- "$1"
}

# Notes the package $1 as missing unless the command that follows succeeds.
want() {
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}

# Runs a command as root.
as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        sudo -- "$@"
    fi
}

# Whether root can be had, without asking for a password unless a terminal is
# there to give one.
can_be_root() {
    ((EUID == 0)) || {
        has sudo >/dev/null && { sudo -n true 2>/dev/null || { [[ -t 0 ]] && sudo -v; }; }
    }
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "$@"
}

# Installs what is missing: unasked when $1 is "yes", else after a yes on the
# terminal. Fails when something is still missing.
install_missing() {
    ((${#missing[@]})) || return 0
    local sudo='' answer=''
    ((EUID == 0)) || sudo='sudo '
    printf 'Missing packages. This line installs them:\n\n    %sapt-get install %s\n\n' \
        "$sudo" "${missing[*]}" >&2
    if ! has apt-get >/dev/null; then
        printf 'There is no apt-get here: these are the names that Debian gives them.\n' >&2
        return 1
    fi
    if [[ $1 != yes ]]; then
        [[ -t 0 ]] || return 1
        read -r -p 'Run it now? [y/N] ' answer || true
        [[ $answer == [yY]* ]] || return 1
    fi
    # A machine that has never looked has no package lists yet.
    apt_install "${missing[@]}" || { as_root apt-get update && apt_install "${missing[@]}"; }
    missing=()
}

need_cargo() {
    has cargo >/dev/null && return
    printf 'There is no cargo: install Rust as https://rustup.rs says, then run this again.\n' >&2
    return 1
}
