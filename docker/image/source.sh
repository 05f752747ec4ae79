# source.sh - Debian's source packages, for libraries that are built once more with less in them; sourced.
# shellcheck shell=bash disable=SC2034 # the sourcing scripts use the lists

# What a reader of S3's lists has no use for; ICU alone is 35 MB with its tables and libstdc++.
LIBXML2_LEAN=(--without-icu --without-lzma --without-python --without-ftp --without-http --without-catalog
  --without-debug --without-legacy --without-modules --without-iconv --without-docbook)

# debian_source PACKAGE: into the working folder, patched, the source of the version of PACKAGE that is
# installed, so that the two cannot differ; sets source_folder.
debian_source() {
  local parts apt name version
  read -r name version < <(dpkg-query -W -f '${source:Package} ${source:Version}\n' "$1")
  # The index of sources too, wherever this machine's apt finds its packages.
  parts=$PWD/apt-sources
  apt=(apt-get -q -o "Dir::Etc::sourceparts=$parts" -o Dir::Etc::sourcelist=/dev/null
    -o APT::Sandbox::User=root)
  if [ ! -e "$parts" ]; then
    mkdir "$parts"
    cp /etc/apt/sources.list.d/* "$parts/" 2>/dev/null || true
    sed -i 's/^Types: deb$/Types: deb deb-src/' "$parts"/* 2>/dev/null || true
    if [ -s /etc/apt/sources.list ]; then
      { sed 's/^deb /deb-src /' /etc/apt/sources.list && cat /etc/apt/sources.list; } >"$parts/all.list"
    fi
    "${apt[@]}" update
  fi
  "${apt[@]}" source "$name=$version"
  source_folder=$(echo "$PWD/$name"-*/) && source_folder=${source_folder%/}
  # Debian's patches must not look like a reason to run automake.
  find "$source_folder" -exec touch -r "$source_folder" {} +
}
