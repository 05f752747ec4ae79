/* crc.c - CRC-32 at memory speed (ISA-L, carry-less multiplication), parts folded by zlib. */
#include "storage/base/crc.h"

#include "storage/storage.h"

#include <assert.h>
#include <isa-l/crc.h>
#include <zlib.h>

#include "storage/storage_banned.h"

uint32_t storage_crc32(uint32_t crc, const void *data, size_t size)
{
    return crc32_gzip_refl(crc, data, size);
}

uint32_t crc32_fold(uint32_t first, uint32_t second, uint64_t second_size)
{
    assert(second_size <= INT64_MAX);
    return (uint32_t)crc32_combine(first, second, (z_off_t)second_size);
}
