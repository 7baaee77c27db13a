/* Version of the library, at compile time and at run time. */
#ifndef TERRANE_VERSION_H
#define TERRANE_VERSION_H

#define TERRANE_VERSION_MAJOR 0
#define TERRANE_VERSION_MINOR 1
#define TERRANE_VERSION_PATCH 0

/* Marks a symbol that the shared library exports. */
#define TERRANE_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/* "major.minor.patch" of the library that is running. A static string. Any thread. */
TERRANE_API const char *terrane_version(void);

#ifdef __cplusplus
}
#endif

#endif
