#!/usr/bin/env bash
# Writes an SPDX 2.3 document of what the image holds, from dpkg's data base, and copies each
# package's licence: LIBRARIES BINARY ROOT; LIBRARIES has lines "soname path".
set -euo pipefail
libraries=$1 binary=$2 root=$3
out=$root/usr/share/sbom/jobferry.spdx.json
created=$(date -u -d "@${SOURCE_DATE_EPOCH:-0}" +%Y-%m-%dT%H:%M:%SZ)
version=$("$binary" --version 2>/dev/null || chroot "$root" /opt/jobferry/bin/jobferry --version)
version=${version#jobferry }
sum=$(sha256sum "$binary" | cut -d ' ' -f 1)

# The package of each file; a library that dpkg does not know is libxml2's, built by libxml2.sh.
packages() {
  local soname path real
  while read -r soname path; do
    real=$(readlink -f "$path")
    dpkg -S "$real" 2>/dev/null || dpkg -S "${real#/usr}" 2>/dev/null || dpkg -S "*/${real##*/}" 2>/dev/null ||
      { case $soname in libxml2*) echo "libxml2: $real" ;; *) echo "no package has $real" >&2 && return 1 ;; esac; }
  done <"$libraries" | cut -d : -f 1
  echo ca-certificates
  echo tzdata
}
names=$(packages | sort -u)

entry() { # ID NAME VERSION LICENCE PURL COMMENT
  printf '    {"SPDXID": "SPDXRef-%s", "name": "%s", "versionInfo": "%s", "downloadLocation": "NOASSERTION",\n' "$1" "$2" "$3"
  printf '     "filesAnalyzed": false, "licenseConcluded": "%s", "licenseDeclared": "%s", "copyrightText": "NOASSERTION"' "$4" "$4"
  [ -z "$5" ] || printf ',\n     "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "%s"}]' "$5"
  [ -z "$6" ] || printf ',\n     "comment": "%s"' "$6"
  printf '}'
}
{
  printf '{\n  "spdxVersion": "SPDX-2.3",\n  "dataLicense": "CC0-1.0",\n  "SPDXID": "SPDXRef-DOCUMENT",\n'
  printf '  "name": "jobferry-%s",\n  "documentNamespace": "https://spdx.org/spdxdocs/jobferry-%s-%s",\n' "$version" "$version" "$sum"
  printf '  "creationInfo": {"created": "%s", "creators": ["Tool: jobferry-sbom.sh"]},\n  "packages": [\n' "$created"
  entry jobferry jobferry "$version" Apache-2.0 "" "SHA-256 of the binary: $sum"
  for name in $names; do
    read -r full arch < <(dpkg-query -W -f '${Version} ${Architecture}\n' "$name" | head -n 1)
    note=
    [ "$name" != libxml2 ] || note="rebuilt from Debian's source of this version without ICU, lzma, iconv and network"
    printf ',\n'
    entry "deb-${name//[^A-Za-z0-9.-]/-}" "$name" "$full" NOASSERTION "pkg:deb/debian/${name//+/%2B}@${full//+/%2B}?arch=$arch" "$note"
  done
  printf '\n  ],\n  "relationships": [\n'
  printf '    {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-jobferry"}'
  for name in $names; do
    printf ',\n    {"spdxElementId": "SPDXRef-jobferry", "relationshipType": "DEPENDS_ON", "relatedSpdxElement": "SPDXRef-deb-%s"}' "${name//[^A-Za-z0-9.-]/-}"
  done
  printf '\n  ]\n}\n'
} >"$out"
for name in $names; do
  install -D -m 644 "/usr/share/doc/$name/copyright" "$root/usr/share/doc/$name/copyright"
done
