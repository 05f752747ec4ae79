/* file.c - keys of a profile file or an obsutil configuration, read anew each time. */
#include "storage/credentials/source.h"

#include "storage/storage_error.h"

#include "storage/storage_banned.h"

enum storage_code keys_from_file(const struct key_source *source, struct credentials_keys **keys,
                                 struct storage_error *err)
{
    struct storage_profile profile = {0};
    enum storage_code code = STORAGE_OK;
    bool found = source->is.section
                     ? storage_profile_read(&profile, source->is.file, source->is.section)
                     : storage_profile_read_obsutil(&profile, source->is.file);
    if (!found || !profile.access_key) {
        code = keys_fail(source, err, STORAGE_DENIED, "%s holds none any more", source->is.file);
    } else if (profile.is_encrypted) {
        code = keys_fail(source, err, STORAGE_DENIED, "%s has been encrypted", source->is.file);
    } else {
        code = credentials_keys_new(keys, source->name, profile.access_key, profile.secret_key,
                                    profile.session_token, 0, err);
    }
    storage_profile_release(&profile);
    return code;
}
