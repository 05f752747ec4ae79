# `cpack` in a build folder makes a .deb of what `cmake --install` installs; configure with
# -DCMAKE_INSTALL_PREFIX=/usr, so that libraries land where Debian has them.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME jobferry)
set(CPACK_PACKAGE_CONTACT "The jobferry authors <jobferry@users.noreply.github.com>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "ferries datasets in, trains, ferries every checkpoint out")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"A training job runner: copies a dataset in from S3, OBS or a folder, runs the
built-in trainer or any command, and copies every checkpoint out while it runs,
so that a job killed at any moment goes on from its newest checkpoint.
Also a shared library, libjobferry-storage, with its header.")

# What Debian wants beside the program: a copyright and a changelog, dated by the newest commit.
set(package ${CMAKE_CURRENT_BINARY_DIR}/package)
set(date "Thu, 01 Jan 1970 00:00:00 +0000")
if(DEFINED ENV{SOURCE_DATE_EPOCH})
  string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
endif()
file(WRITE ${package}/copyright
  "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
  "Upstream-Name: jobferry\n\nFiles: *\nCopyright: 2026 The jobferry authors\nLicense: Apache-2.0\n"
  " On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.\n")
file(WRITE ${package}/changelog
  "jobferry (${PROJECT_VERSION}) unstable; urgency=medium\n\n  * See .github/CHANGELOG.md of the source.\n\n"
  " -- ${CPACK_PACKAGE_CONTACT}  ${date}\n")
execute_process(COMMAND gzip -9nf ${package}/changelog)
install(FILES ${package}/copyright ${package}/changelog.gz DESTINATION ${CMAKE_INSTALL_DOCDIR})
file(WRITE ${package}/triggers "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${package}/triggers)
include(CPack)
