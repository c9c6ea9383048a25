include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_package(CUDAToolkit QUIET)  # where fettle was built with its GPU side
if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/fettle-embedded.cmake)
  include(${CMAKE_CURRENT_LIST_DIR}/fettle-embedded.cmake)
endif()
if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/fettle.cmake)
  find_dependency(PkgConfig)
  pkg_check_modules(HWY REQUIRED IMPORTED_TARGET libhwy)
  find_dependency(nlohmann_json)
  pkg_search_module(HDF5 QUIET IMPORTED_TARGET hdf5-serial hdf5)  # where fettle was built with it
  include(${CMAKE_CURRENT_LIST_DIR}/fettle.cmake)
endif()
