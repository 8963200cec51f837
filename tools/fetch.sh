#!/usr/bin/env bash
# Fetches the real counterparts that the tests compare with: nats-server, Prometheus 3 with promtool, Alertmanager with amtool.
#
# They come from Debian packages of a newer suite through this machine's own package sources, with a private apt state:
# nothing is installed, no root is needed, no service starts. The binaries end up in target/tools/bin.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=${TOOLS_SUITE:-sid}
packages=(nats-server prometheus promtool prometheus-alertmanager)
binaries=(nats-server prometheus promtool alertmanager amtool)
root=$PWD/target/tools
bin=$root/bin

present() { for one in "${binaries[@]}"; do [ -x "$bin/$one" ] || return 1; done; }

versions() {
  "$bin/nats-server" --version
  "$bin/prometheus" --version 2>&1 | head -n 1
  "$bin/promtool" --version 2>&1 | head -n 1
  "$bin/alertmanager" --version 2>&1 | head -n 1
  "$bin/amtool" --version 2>&1 | head -n 1
}

if present; then versions; exit 0; fi
command -v apt-get >/dev/null || { echo "tools: apt-get is not on this machine; put ${binaries[*]} into target/tools/bin by hand" >&2; exit 1; }

state=$root/apt
mkdir -p "$state"/{lists/partial,cache/archives/partial,sources.list.d,preferences.d,dpkg} "$bin"
: > "$state/dpkg/status"
: > "$state/sources.list"

# The mirrors this machine already uses, whatever they are, asked for the newer suite.
mirrors=$( { grep -hE '^URIs:' /etc/apt/sources.list.d/*.sources 2>/dev/null | sed 's/^URIs:[[:space:]]*//'; \
             grep -hE '^deb ' /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -E 's/^deb (\[[^]]*\] )?//' | cut -d' ' -f1; } \
           | tr ' ' '\n' | grep -E '/debian/?$' | sort -u || true)
[ -n "$mirrors" ] || { echo "tools: no Debian mirror in this machine's package sources" >&2; exit 1; }
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
for mirror in $mirrors; do echo "deb [signed-by=$keyring] $mirror $suite main"; done > "$state/sources.list"

apt_options=(-q -o "Dir::State=$state" -o "Dir::State::lists=$state/lists" -o "Dir::State::status=$state/dpkg/status" -o "Dir::Cache=$state/cache"
  -o "Dir::Etc::sourcelist=$state/sources.list" -o "Dir::Etc::sourceparts=$state/sources.list.d" -o "Dir::Etc::preferencesparts=$state/preferences.d"
  -o APT::Get::List-Cleanup=0 -o Acquire::Languages=none -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3 -o Acquire::http::Timeout=60)

# A mirror may be away for a moment, or change between its list and its packages: both are fetched again, a few times.
attempts=4
fetch() { apt-get "${apt_options[@]}" update && ( cd "$root" && apt-get "${apt_options[@]}" download "${packages[@]}" ); }
for attempt in $(seq "$attempts"); do
  if fetch; then break; fi
  [ "$attempt" -lt "$attempts" ] || { echo "tools: $attempts attempts to fetch ${packages[*]} have failed; what apt-get says is above" >&2; exit 1; }
  echo "tools: attempt $attempt of $attempts failed, the next in $((attempt * 10)) s" >&2
  rm -f "$root"/*.deb
  sleep "$((attempt * 10))"
done
for deb in "$root"/*.deb; do dpkg-deb --extract "$deb" "$root/unpacked"; done
for one in "${binaries[@]}"; do
  found=$(find "$root/unpacked/usr/bin" "$root/unpacked/usr/sbin" -type f -perm -u+x \( -name "$one" -o -name "prometheus-$one" \) | head -n 1)
  [ -n "$found" ] || { echo "tools: no $one in the packages ${packages[*]} of $suite" >&2; exit 1; }
  install -m 0755 "$found" "$bin/$one"
done
rm -rf "$root"/*.deb "$root/unpacked" "$state"
versions
