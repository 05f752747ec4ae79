/*
 * copy_check.c - holding arrived bytes against what the source says of the whole.
 *
 * Best is a CRC-32 the store keeps: part sums fold into it in any order. Next an ETag that is an
 * MD5, which wants the bytes in order (copy_object.c lets each part wait for its turn). An ETag
 * "<md5>-<n>" is, in S3 and its kin, the MD5 of the n parts' MD5s; nobody tells the parts' size, so
 * we guess it: the size we would have used, or one that the usual tools use. A wrong guess looks
 * like damage, so a guess that fails proves nothing and leaves the size as the only check.
 */
#include "storage/copy/copy_engine.h"
#include "storage/storage_error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

enum {
    MIB = 1024 * 1024,
    MD5_HEX = 32
};

/* Part sizes by habit: aws and boto 8, minio and mc 16, rclone 5, s5cmd 50, Java's manager 5 … */
static const size_t usual_parts[] = {8 * MIB,  16 * MIB, 5 * MIB,  10 * MIB, 15 * MIB,  20 * MIB,
                                     25 * MIB, 32 * MIB, 50 * MIB, 64 * MIB, 100 * MIB, 128 * MIB};

/* The number of hex digits an ETag begins with; *parts its "-n", 0 when there is none. */
static size_t parse_etag(const char *etag, unsigned *parts)
{
    size_t digits = strspn(etag, "0123456789abcdefABCDEF");
    *parts = 0;
    if (etag[digits] == '-' && etag[digits + 1] >= '1' && etag[digits + 1] <= '9') {
        char *end = NULL;
        unsigned long count = strtoul(etag + digits + 1, &end, 10);
        if (*end == '\0' && count <= COPY_PARTS_MAX) {
            *parts = (unsigned)count;
            return digits;
        }
    }
    return etag[digits] ? 0 : digits;
}

static bool gives_parts(uint64_t size, size_t part_size, unsigned parts)
{
    return part_size > 0 && (size + part_size - 1) / part_size == parts;
}

/* Tries the wish first, then the usual sizes. */
static bool guess_part_size(uint64_t size, unsigned parts, size_t *part_size, size_t part_max)
{
    if (gives_parts(size, *part_size, parts)) {
        return true;
    }
    for (size_t i = 0; i < sizeof usual_parts / sizeof *usual_parts; i++) {
        if (usual_parts[i] <= part_max && gives_parts(size, usual_parts[i], parts)) {
            *part_size = usual_parts[i];
            return true;
        }
    }
    return false;
}

void copy_check_choose(struct copy_check *check, const struct storage_info *info,
                       enum storage_kind source, size_t *part_size, size_t part_max)
{
    unsigned parts = 0;
    memset(check, 0, sizeof *check);
    check->kind = STORAGE_VERIFIED_SIZE;
    if (source == STORAGE_LOCAL) {
        return;
    }
    if (info->has_crc32) {
        check->kind = STORAGE_VERIFIED_CRC32;
    } else if (!info->etag_is_opaque && parse_etag(info->etag, &parts) == MD5_HEX) {
        if (parts == 0) {
            check->kind = STORAGE_VERIFIED_MD5;
        } else if (guess_part_size(info->size, parts, part_size, part_max)) {
            check->kind = STORAGE_VERIFIED_ETAG;
        }
    }
}

bool copy_check_begin(struct copy_check *check, unsigned part_count)
{
    if (check->kind == STORAGE_VERIFIED_MD5) {
        check->md5 = md5_new();
        if (!check->md5) {
            check->kind = STORAGE_VERIFIED_SIZE; /* a machine whose policy forbids MD5 */
        }
    } else if (check->kind == STORAGE_VERIFIED_ETAG) {
        check->part_sums = calloc(part_count, sizeof *check->part_sums);
        return check->part_sums != NULL;
    }
    return true;
}

void copy_check_release(struct copy_check *check)
{
    md5_free(check->md5);
    free(check->part_sums);
    memset(check, 0, sizeof *check);
}

static enum storage_code fail_sum(struct storage_error *err, const char *source, const char *what,
                                  const char *said, const char *got)
{
    return storage_fail(err, STORAGE_INTEGRITY, "read %s: its %s is %s, but what arrived has %s",
                        source, what, said, got);
}

/* Compares hex text, without regard to case, with the bytes' own. */
static bool hex_is(const char *text, const uint8_t sum[MD5_SIZE], char hex[MD5_HEX + 1])
{
    for (size_t i = 0; i < MD5_SIZE; i++) {
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    }
    return strncasecmp(text, hex, MD5_HEX) == 0;
}

enum storage_code copy_check_finish(struct copy_check *check, const struct storage_info *info,
                                    unsigned part_count, uint32_t crc32, const char *source,
                                    struct storage_error *err)
{
    uint8_t sum[MD5_SIZE];
    char hex[MD5_HEX + 1];
    char said[16];
    switch (check->kind) {
    case STORAGE_VERIFIED_CRC32:
        if (crc32 != info->crc32) {
            snprintf(said, sizeof said, "%08x", info->crc32);
            snprintf(hex, sizeof hex, "%08x", crc32);
            return fail_sum(err, source, "CRC-32", said, hex);
        }
        break;
    case STORAGE_VERIFIED_MD5:
        if (!md5_finish(check->md5, sum)) {
            check->kind = STORAGE_VERIFIED_SIZE;
        } else if (!hex_is(info->etag, sum, hex)) {
            return fail_sum(err, source, "MD5", info->etag, hex);
        }
        break;
    case STORAGE_VERIFIED_ETAG:
        if (!digest_md5(sum, check->part_sums, (size_t)part_count * MD5_SIZE) ||
            !hex_is(info->etag, sum, hex)) {
            check->kind = STORAGE_VERIFIED_SIZE; /* the guess was wrong: it proves nothing */
        }
        break;
    case STORAGE_VERIFIED_SIZE:
        break;
    }
    return STORAGE_OK;
}
