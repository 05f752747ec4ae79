/*
 * profile.h - reads one section of an AWS-style profile file (~/.aws/credentials, ~/.aws/config).
 *
 * Lines are `key = value`, sections `[name]` or `[profile name]`, comments begin a line with '#' or
 * ';'. A value is everything to the end of its line, whatever its length and characters, white
 * space at both ends removed: session tokens pass 1,400 bytes, which is why this is not inih.
 */
#ifndef RUNNER_PROFILE_H
#define RUNNER_PROFILE_H

#include <stdbool.h>

/* The values of one section; NULL where absent. Owned: profile_release. */
struct profile {
    char *access_key;    /* aws_access_key_id */
    char *secret_key;    /* aws_secret_access_key */
    char *session_token; /* aws_session_token */
    char *region;
    char *endpoint; /* endpoint_url */
    char *ca_file;  /* ca_bundle */
};

/*
 * Adds what section says in the file to profile; values already there stay. Returns whether the
 * section was found; a file that cannot be read, or is over 1 MiB, has no sections.
 */
bool profile_read(struct profile *profile, const char *path, const char *section);

/* Wipes and frees. */
void profile_release(struct profile *profile);

#endif
