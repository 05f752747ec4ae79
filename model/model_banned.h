/* model_banned.h - functions that are never right here; using one is a compile error. Include it
 * last. */
#ifndef MODEL_BANNED_H
#define MODEL_BANNED_H

#pragma GCC poison sprintf vsprintf strcpy strcat strncpy strncat strtok gets atoi atol atof
#pragma GCC poison gmtime localtime ctime asctime mktemp tmpnam system popen

#endif
