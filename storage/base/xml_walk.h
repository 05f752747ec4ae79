/* xml_walk.h - what the readers of xml.c and xml_uploads.c stand on. */
#ifndef STORAGE_XML_WALK_H
#define STORAGE_XML_WALK_H

#include "storage/base/xml.h"

/* Told of every element that ends, by its path and text; false refuses the document. */
typedef bool xml_element_fn(void *context, const char *path, const char *text);

/* Walks a document within xml.h's ceilings. False: not well-formed, or refused. */
bool xml_walk(const char *data, size_t size, xml_element_fn *on_element, void *context);

/* Copies an ETag without the quotes and the weakness mark it may come in, cut at size. */
void xml_copy_etag(char *out, size_t size, const char *text);
/* Decimal digits and nothing else. */
bool xml_parse_size(uint64_t *size, const char *text);

#endif
