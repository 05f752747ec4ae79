/* scratch.h - a temporary folder for a test, and small helpers on files in it. */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

/* Makes a fresh folder; the text is the caller's to give to scratch_remove. */
char *scratch_make(void);
/* Removes the folder and all in it, and frees the text. */
void scratch_remove(char *folder);

/* "folder/name" in a static ring of eight texts. */
const char *scratch_path(const char *folder, const char *name);
/* Writes a file and the folders above it. */
void scratch_write(const char *folder, const char *name, const void *data, size_t size);
/* The file's bytes, malloc'ed; NULL: not there. */
void *scratch_read(const char *folder, const char *name, size_t *size);
/* The file is there and holds exactly these bytes; else the program ends, and says so. */
void scratch_check(const char *folder, const char *name, const void *data, size_t size);
bool scratch_exists(const char *folder, const char *name);
/* The number of files and folders below, at any depth. */
size_t scratch_count(const char *folder);
/* Fills data with bytes that depend on seed and place, the same on every machine. */
void scratch_fill(void *data, size_t size, unsigned seed);

#endif
