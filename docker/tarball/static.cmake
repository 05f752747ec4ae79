# Included right behind project() by build.sh: archives are what is searched for, and what cairo's wants behind all.
set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
set(OPENSSL_USE_STATIC_LIBS ON)
set(CMAKE_C_STANDARD_LIBRARIES "-Wl,-Bstatic -lpixman-1 -lpng16 -lz -Wl,-Bdynamic -lm")
