/* crc.h - sums of parts made into the sum of the whole; storage_crc32 itself is in storage.h. */
#ifndef STORAGE_CRC_H
#define STORAGE_CRC_H

#include <stdint.h>

/* The CRC-32 of a, then b, from the CRC-32 of each and the number of bytes in b. */
uint32_t crc32_fold(uint32_t first, uint32_t second, uint64_t second_size);

#endif
