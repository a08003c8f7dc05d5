#!/usr/bin/env bash
# Does attune compile for arm64, and do its tests pass there? On Debian 12 with x86-64: unpacks the arm64 packages of
# every dependency into FOLDER, cross-compiles build/arm64 and runs the tests under QEMU. By hand; takes about half an
# hour on two cores, 0.6 GB and the package mirror of this machine's own apt. Root only to install compiler and QEMU.
#
#     tests/e2e/arm64.sh FOLDER [TEST PROGRAM...]        default: the ops, what they rest on, parsers, whole models
set -euo pipefail

[ $# -ge 1 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2; }
sysroot=$(mkdir -p "$1" && cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- tensor_test quant_test ops_test format_test token_test conversation_test synth_test golden_test
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

for tool in g++-aarch64-linux-gnu qemu-user-static; do
  dpkg-query -W "$tool" >/dev/null 2>&1 || apt-get install -y -q --no-install-recommends "$tool"
done

# Debian's -dev packages of two architectures cannot all be installed side by side. So apt resolves and downloads with a
# state of its own, in which nothing is installed and arm64 is all there is.
if [ ! -e "$sysroot/complete" ]; then
  apt=$sysroot/apt
  mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$sysroot/usr/bin" "$sysroot/usr/lib" "$sysroot/usr/sbin"
  : >"$apt/status"
  cat >"$apt/apt.conf" <<END
Dir::State "$apt";
Dir::State::status "$apt/status";
Dir::Cache "$apt";
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
Acquire::Languages "none";
Debug::NoLocking "true";
END
  APT_CONFIG=$apt/apt.conf apt-get update -q
  APT_CONFIG=$apt/apt.conf apt-get install -y -q --download-only $(./dev packages | grep -e '-dev$')
  ln -sfn usr/bin "$sysroot/bin"
  ln -sfn usr/lib "$sysroot/lib"
  ln -sfn usr/sbin "$sysroot/sbin"
  for package in "$apt"/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$sysroot" --no-same-owner --keep-directory-symlink
  done
  find "$sysroot" -type l -lname '/*' | while read -r link; do
    ln -sfr "$sysroot$(readlink "$link")" "$link"
  done
  rm -rf "$apt"
  touch "$sysroot/complete"
fi

cmake --log-level=WARNING --preset arm64 -DCMAKE_SYSROOT="$sysroot"
cmake --build build/arm64 -j "$(nproc)" --target attune "$@"
export OMP_WAIT_POLICY=passive  # QEMU runs threads that only wait at full price
for program in "$@"; do
  ctest --test-dir build/arm64 --output-on-failure --no-tests=error -j "$(nproc)" -R "^$program\\."
done
