add_library(ie_options INTERFACE)
target_compile_options(ie_options INTERFACE -Wall -Wextra $<$<NOT:$<COMPILE_LANGUAGE:CUDA>>:-Wpedantic> -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers
                       # GCC 12 sees overlaps and overruns in std::string that are none (bugs 105651, 105329).
                       $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread>
                       # Collects its garbage from 400 MB on: a tenth of the time.
                       $<$<CXX_COMPILER_ID:GNU>:--param=ggc-min-heapsize=400000>)
if(CMAKE_UNITY_BUILD) # sources of a folder compiled together see each other's names, and are no main file
  target_compile_options(ie_options INTERFACE -Wno-shadow $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
endif()
target_include_directories(ie_options INTERFACE "${CMAKE_SOURCE_DIR}/src")
target_compile_definitions(ie_options INTERFACE IE_VERSION="${PROJECT_VERSION}")

# Headers of others that nearly every source includes, compiled once for all targets. Not ours: each change would rebuild everything.
# Every source still includes what it uses: the preset `lint` compiles without this.
set(IE_PRECOMPILED <algorithm> <array> <chrono> <cmath> <cstdint> <cstring> <filesystem> <functional> <map> <memory> <mutex> <optional> <set>
                   <span> <string> <string_view> <thread> <unordered_map> <utility> <vector> <fmt/format.h> <fmt/ranges.h>
                   <nlohmann/json.hpp> <tl/expected.hpp>)

# A target of its own: the compiler refuses them where a macro is missing that they were made with.
file(WRITE "${CMAKE_BINARY_DIR}/precompiled.cpp" "// ${CMAKE_CURRENT_LIST_FILE} has what is compiled here.\n")
add_library(ie_precompiled OBJECT "${CMAKE_BINARY_DIR}/precompiled.cpp")
target_link_libraries(ie_precompiled PRIVATE ie_options fmt::fmt tl::expected nlohmann_json::nlohmann_json Threads::Threads)
target_precompile_headers(ie_precompiled PRIVATE ${IE_PRECOMPILED})

function(ie_precompile target)
  target_precompile_headers(${target} REUSE_FROM ie_precompiled)
endfunction()

if(IE_TESTS)
  file(CREATE_LINK "${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}/source" SYMBOLIC)
  # With GoogleTest's, and hardly optimised: a test runs once
  add_library(ie_test_precompiled OBJECT "${CMAKE_BINARY_DIR}/precompiled.cpp")
  target_link_libraries(ie_test_precompiled PRIVATE ie_options fmt::fmt tl::expected nlohmann_json::nlohmann_json Threads::Threads
                                                    GTest::gtest GTest::gmock)
  target_compile_options(ie_test_precompiled PRIVATE -O1)
  target_precompile_headers(ie_test_precompiled PRIVATE ${IE_PRECOMPILED} <gmock/gmock.h> <gtest/gtest.h>)
endif()

# ie_module(NAME [PUBLIC libs…] [PRIVATE libs…]): the library ie_NAME from every .cpp directly in this folder.
function(ie_module name)
  cmake_parse_arguments(arg "" "" "PUBLIC;PRIVATE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  add_library(ie_${name} STATIC ${sources})
  target_link_libraries(ie_${name} PUBLIC ie_options ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
  ie_precompile(ie_${name})
endfunction()
