# `cmake --install` and what find_package(fettle) finds afterwards: fettle::embedded and
# fettle::embedded_shared of the embedded build; fettle::c (the C interface), fettle::models and
# fettle::io (the C++ rooms, with those under them) of the full one.
include(CMakePackageConfigHelpers)

set(CMAKE_INSTALL_LIBDIR lib)
set(CMAKE_INSTALL_RPATH $ORIGIN/../lib $ORIGIN)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/fettle-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/fettle-config-version.cmake
  ${PROJECT_SOURCE_DIR}/apps/fettle-config.cmake DESTINATION lib/cmake/fettle)
install(FILES ${PROJECT_SOURCE_DIR}/apps/embedded/fettle.h DESTINATION include)

# The full build's libraries, headers and program. Libraries are optional: what was not built (they
# are no part of `all`) is not installed; build the target fettle_libraries first.
macro(fettle_install)
  set(libraries fettle_c fettle_models fettle_layers fettle_io fettle_engine fettle_kernels)
  if(TARGET fettle_kernels_cuda)
    list(APPEND libraries fettle_kernels_cuda)
  endif()
  add_custom_target(fettle_libraries DEPENDS ${libraries})
  install(TARGETS ${libraries} EXPORT fettle OPTIONAL)
  install(TARGETS fettle)
  install(EXPORT fettle NAMESPACE fettle:: DESTINATION lib/cmake/fettle)
  install(DIRECTORY kernels engine layers models io DESTINATION include/fettle
    FILES_MATCHING PATTERN "*.h")
endmacro()
