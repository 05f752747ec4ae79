#!/usr/bin/env bash
# Where keys come from, in order, with the whole program beside a MinIO: in each round one source
# holds the good keys and every source after it holds bad ones, then the other way round. A source
# is taken whole: with the good secret elsewhere, its own bad pair fails.
set -u
jobferry=$1
cd "$(dirname "$0")" || exit 1
# shellcheck source=tests/lib.sh
. ./lib.sh

good_ak=$MINIO_ROOT_USER
good_sk=$MINIO_ROOT_PASSWORD
home=$scratch/home
mkdir -p "$home/.aws"
export HOME=$home
unset "${!AWS_@}" "${!OBS_@}" "${!JOBFERRY_@}" ACCESS_KEY_ID SECRET_ACCESS_KEY CREDENTIAL_PROFILES_FILE
server=--server=$MINIO_ENDPOINT
ca=()
[ -n "${MINIO_CA_FILE:-}" ] && ca=(--ca_file="$MINIO_CA_FILE")

"$jobferry" mb s3://order --ak="$good_ak" --sk="$good_sk" "$server" "${ca[@]}" >/dev/null 2>&1 || exit 1
printf hello | "$jobferry" put - s3://order/x --ak="$good_ak" --sk="$good_sk" "$server" "${ca[@]}" \
  >/dev/null 2>&1 || exit 1

# Sources in order; each sets itself up with the keys $1 and $2.
sources=(flags side_environment aws_environment obs_environment moxing_environment
  credentials_file config_file profiles_file config_process obsutil)
flags() { flags=(--ak="$1" --sk="$2"); }
side_environment() { environment+=(JOBFERRY_DATA_ACCESS_KEY_ID="$1" JOBFERRY_DATA_SECRET_ACCESS_KEY="$2"); }
aws_environment() { environment+=(AWS_ACCESS_KEY_ID="$1" AWS_SECRET_ACCESS_KEY="$2"); }
obs_environment() { environment+=(OBS_ACCESS_KEY_ID="$1" OBS_SECRET_ACCESS_KEY="$2"); }
moxing_environment() { environment+=(ACCESS_KEY_ID="$1" SECRET_ACCESS_KEY="$2"); }
section() { # HEADING KEY SECRET
  printf '[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$@"
}
credentials_file() { section default "$@" >"$home/.aws/credentials"; }
config_file() { section default "$@" >>"$home/.aws/config"; }
profiles_file() {
  section default "$@" >"$scratch/profiles"
  environment+=(CREDENTIAL_PROFILES_FILE="$scratch/profiles")
}
process_of() { # KEY SECRET: a command that prints them, and its name in a profile
  printf '#!/bin/sh\necho '\''{"Version":1,"AccessKeyId":"%s","SecretAccessKey":"%s"}'\' "$@" \
    >"$scratch/a process"
  chmod +x "$scratch/a process"
  printf "credential_process = '%s' --flag\n" "$scratch/a process"
}
config_process() {
  [ -s "$home/.aws/config" ] || echo '[default]' >"$home/.aws/config"
  process_of "$@" >>"$home/.aws/config"
}
obsutil() { printf 'endpoint=%s\nak=%s\nsk=%s\n' "http://127.0.0.1:9" "$@" >"$home/.obsutilconfig"; }

# round FROM KEY SECRET LATER-KEY LATER-SECRET: sources before FROM are silent.
round() {
  local at=0
  flags=()
  environment=()
  rm -f "$home"/.aws/* "$home/.obsutilconfig"
  : >"$home/.aws/config"
  for ((at = $1; at < ${#sources[@]}; at++)); do
    if [ "$at" -eq "$1" ]; then "${sources[at]}" "$2" "$3"; else "${sources[at]}" "$4" "$5"; fi
  done
}
list() { env "${environment[@]}" "$jobferry" ls s3://order/ "$server" "${ca[@]}" "${flags[@]}" "$@"; }

for ((i = 0; i < ${#sources[@]}; i++)); do
  echo "# ${sources[i]}"
  round "$i" "$good_ak" "$good_sk" badbadbad wrongwrongwrong
  expect 0 ' x$' list
  round "$i" badbadbad wrongwrongwrong "$good_ak" "$good_sk"
  expect 77 'InvalidAccessKeyId' list
done
check "no secret is shown" bash -c "! grep -q wrongwrong '$output'"

# --profile stands before the environment, and after flags.
round 2 badbadbad wrongwrongwrong badbadbad wrongwrongwrong
{
  section other "$good_ak" "$good_sk"
} >>"$home/.aws/credentials"
expect 0 "keys for data: from profile 'other'" list --profile=other --verbose
environment+=(AWS_PROFILE=other)
expect 77 'InvalidAccessKeyId' list
environment=(AWS_PROFILE=other)
expect 0 ' x$' list
expect 77 'InvalidAccessKeyId' list --profile=other --ak=badbadbad --sk=wrongwrongwrong

# Never mixed: the token of one file does not go with the key of another.
round 99 x x x x
section default "$good_ak" "$good_sk" >"$home/.aws/credentials"
printf '[default]\naws_session_token = stray\nregion = us-east-1\n' >"$home/.aws/config"
expect 0 ' x$' list
environment=(AWS_SESSION_TOKEN=stray AWS_SECRET_ACCESS_KEY=stray)
expect 0 ' x$' list
environment=(AWS_ACCESS_KEY_ID="$good_ak")
expect 64 'without its secret key' list

# What cannot be used is told.
round 99 x x x x
printf '[profile sso]\nsso_session = s\nregion = us-east-1\n' >"$home/.aws/config"
expect 78 'source_profile, credential_source or SSO' list --profile=sso
one_line
printf 'ak=%s\nsk=%s\n' AAAA 'ZW5jcnlwdGVkZW5jcnlwdGVkZW5jcnlwdGVkZW5jcnlwdA==' >"$home/.obsutilconfig"
expect 77 'obsutil has encrypted its keys' list
rm "$home/.obsutilconfig"

# The services: a container's is taken when named; a machine's is not thought of before a local
# store, which is anonymous at once; one that is named is asked, and nobody there is anonymous.
environment=(AWS_CONTAINER_CREDENTIALS_FULL_URI=http://10.0.0.1/)
expect 64 "keys from the container's service: .*https|container's service: its URL must be https" list
environment=(AWS_ROLE_ARN=arn AWS_WEB_IDENTITY_TOKEN_FILE="$scratch/nowhere"
  AWS_CONTAINER_CREDENTIALS_FULL_URI=http://10.0.0.1/)
expect 77 'AWS_WEB_IDENTITY_TOKEN_FILE: read the token file .*No such file' list
environment=()
expect 77 'no keys were given' list
check "no service was asked" bash -c "! grep -q 'metadata service: ' '$output'"
environment=(AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:9 JOBFERRY_ECS_METADATA_ENDPOINT=http://127.0.0.1:9)
expect 77 "metadata service: nobody there, anonymous" list --verbose
environment=(AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:9 AWS_EC2_METADATA_DISABLED=True)
expect 77 'no keys were given' list --verbose
check "a service that is disabled was not asked" bash -c "! grep -q 'metadata service: ' '$output'"
environment=(AWS_ACCESS_KEY_ID=badbadbad AWS_SECRET_ACCESS_KEY=wrongwrongwrong)
expect 77 'nobody: --sign=none' list --sign=none --verbose

finish
