add_library(ie_options INTERFACE)
target_compile_options(ie_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers
                       $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>) # GCC 12 sees overlaps in std::string that are none (bug 105651)
target_include_directories(ie_options INTERFACE "${CMAKE_SOURCE_DIR}/src")
target_compile_definitions(ie_options INTERFACE IE_VERSION="${PROJECT_VERSION}")

# ie_module(NAME [PUBLIC libs…] [PRIVATE libs…]): the library ie_NAME from every .cpp directly in this folder.
function(ie_module name)
  cmake_parse_arguments(arg "" "" "PUBLIC;PRIVATE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  add_library(ie_${name} STATIC ${sources})
  target_link_libraries(ie_${name} PUBLIC ie_options ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
endfunction()

# ie_test(NAME LABEL libs…): the test program test_NAME from tests/NAME/*.cpp.
function(ie_test name label)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/${name}/*.cpp")
  add_executable(test_${name} ${sources})
  target_link_libraries(test_${name} PRIVATE ie_options ${ARGN} GTest::gtest_main GTest::gmock)
  add_test(NAME ${name} COMMAND test_${name} WORKING_DIRECTORY "${CMAKE_BINARY_DIR}")
  set_tests_properties(${name} PROPERTIES LABELS ${label})
endfunction()
