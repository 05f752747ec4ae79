#!/usr/bin/env bash
# Writes SHARE/sbom/jobferry.spdx.json, an SPDX 2.3 document of what lies beside the program or is linked into it,
# from dpkg's data base, and copies each package's licence to SHARE/doc: LIBRARIES VERSION BINARY SHARE.
# LIBRARIES has lines "path [package [note]]"; without a package it is the one that dpkg names.
set -euo pipefail
libraries=$1 version=$2 binary=$3 share=$4
out=$share/sbom/jobferry.spdx.json
created=$(date -u -d "@${SOURCE_DATE_EPOCH:-0}" +%Y-%m-%dT%H:%M:%SZ)
sum=$(sha256sum "$binary" | cut -d ' ' -f 1)

declare -A notes
while read -r path package note; do
  if [ -z "$package" ]; then
    real=$(readlink -f "$path")
    package=$(dpkg -S "$real" 2>/dev/null || dpkg -S "${real#/usr}" 2>/dev/null || dpkg -S "*/${real##*/}" 2>/dev/null) ||
      { echo "no package has $real" >&2 && exit 1; }
    package=${package%%:*}
  fi
  notes[$package]=$note
done <"$libraries"
mapfile -t names < <(printf '%s\n' "${!notes[@]}" | sort)

entry() { # ID NAME VERSION LICENCE PURL COMMENT
  printf '    {"SPDXID": "SPDXRef-%s", "name": "%s", "versionInfo": "%s", "downloadLocation": "NOASSERTION",\n' "$1" "$2" "$3"
  printf '     "filesAnalyzed": false, "licenseConcluded": "%s", "licenseDeclared": "%s", "copyrightText": "NOASSERTION"' "$4" "$4"
  [ -z "$5" ] || printf ',\n     "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "%s"}]' "$5"
  [ -z "$6" ] || printf ',\n     "comment": "%s"' "$6"
  printf '}'
}
mkdir -p "${out%/*}"
{
  printf '{\n  "spdxVersion": "SPDX-2.3",\n  "dataLicense": "CC0-1.0",\n  "SPDXID": "SPDXRef-DOCUMENT",\n'
  printf '  "name": "jobferry-%s",\n  "documentNamespace": "https://spdx.org/spdxdocs/jobferry-%s-%s",\n' "$version" "$version" "$sum"
  printf '  "creationInfo": {"created": "%s", "creators": ["Tool: jobferry-sbom.sh"]},\n  "packages": [\n' "$created"
  entry jobferry jobferry "$version" Apache-2.0 "" "SHA-256 of the binary: $sum"
  for name in "${names[@]}"; do
    read -r full arch < <(dpkg-query -W -f '${Version} ${Architecture}\n' "$name" | head -n 1)
    printf ',\n'
    entry "deb-${name//[^A-Za-z0-9.-]/-}" "$name" "$full" NOASSERTION "pkg:deb/debian/${name//+/%2B}@${full//+/%2B}?arch=$arch" "${notes[$name]}"
  done
  printf '\n  ],\n  "relationships": [\n'
  printf '    {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-jobferry"}'
  for name in "${names[@]}"; do
    printf ',\n    {"spdxElementId": "SPDXRef-jobferry", "relationshipType": "DEPENDS_ON", "relatedSpdxElement": "SPDXRef-deb-%s"}' "${name//[^A-Za-z0-9.-]/-}"
  done
  printf '\n  ]\n}\n'
} >"$out"
for name in "${names[@]}"; do
  install -D -m 644 "/usr/share/doc/$name/copyright" "$share/doc/$name/copyright"
done
