# The C interface, tested with the embedded library alone, so that it runs on other processors, too.
add_executable(test_embedded ${CMAKE_CURRENT_LIST_DIR}/c_interface_test.cpp)
target_link_libraries(test_embedded PRIVATE fettle_embedded GTest::gtest GTest::gtest_main)
target_include_directories(test_embedded PRIVATE ${PROJECT_SOURCE_DIR})
target_compile_options(test_embedded PRIVATE ${FETTLE_QUICK_TO_BUILD})
target_link_options(test_embedded PRIVATE -Wl,--wrap=aligned_alloc)  # memory that runs out
add_test(NAME embedded COMMAND test_embedded)
