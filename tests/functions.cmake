# What the folders of tests have in common. Each adds its own: a program of GoogleTest's, scripts of pytest's, the inputs that they read.

# Those that take longest begin first, so that none runs on alone at the end.
set(ie_longest media_inputs vision_real_text cli_meaning cli_benchmark cli_calibrate vision media_photos cli_nvidia cli_nvidia_analyze media
    cli_models_packages models_tools_tfjs_to_onnx cli_workers cli_objects cli_network cli_video)
function(ie_cost test)
  list(FIND ie_longest ${test} place)
  if(place GREATER_EQUAL 0)
    math(EXPR cost "100 - ${place}")
    set_tests_properties(${test} PROPERTIES COST ${cost})
  endif()
endfunction()

set(IE_EACH_NTH 1 CACHE STRING "Of many photos that are tested alike, each so many-th is; 1: all")

# ie_test(NAME LABEL libs…): the test program test_NAME from every .cpp directly in this folder, labelled LABEL and `program`. It runs in the build
# tree, where `source` leads to the repository: a path of this machine in the program would keep ccache from finding it again in another clone.
function(ie_test name label)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  add_executable(test_${name} ${sources})
  target_link_libraries(test_${name} PRIVATE ie_options ${ARGN} GTest::gtest_main GTest::gmock)
  target_compile_options(test_${name} PRIVATE -O1)
  target_compile_definitions(test_${name} PRIVATE IE_SOURCE_DIR="source" IE_EACH_NTH=${IE_EACH_NTH})
  target_include_directories(test_${name} PRIVATE "${CMAKE_SOURCE_DIR}")
  target_precompile_headers(test_${name} REUSE_FROM ie_test_precompiled)
  add_test(NAME ${name} COMMAND test_${name} WORKING_DIRECTORY "${CMAKE_BINARY_DIR}")
  set_tests_properties(${name} PROPERTIES LABELS "program;${label}")
  ie_cost(${name})
endfunction()

# ie_pytests(PREFIX TIMEOUT): the test PREFIX_X for each test_X.py of this folder, so that they run side by side. Sets `ie_pytests` to their names.
function(ie_pytests prefix timeout)
  file(GLOB files CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/test_*.py")
  set(names)
  foreach(file ${files})
    get_filename_component(name "${file}" NAME_WE)
    string(REPLACE test_ ${prefix}_ name "${name}")
    add_test(NAME ${name} COMMAND "${CMAKE_SOURCE_DIR}/build/venv/bin/python" -B -m pytest -q -rs -p no:cacheprovider "${file}")
    set_tests_properties(${name} PROPERTIES LABELS integration TIMEOUT ${timeout})
    ie_cost(${name})
    list(APPEND names ${name})
  endforeach()
  set(ie_pytests ${names} PARENT_SCOPE)
endfunction()

set(ie_samples "${CMAKE_SOURCE_DIR}/build/samples")
# ie_inputs(FOLDER FIXTURE SCRIPT ARGUMENT…): the test that makes FOLDER, which other tests read, by a Python script; OUTPUT stands for it. It is
# made once for all build trees, again when what it is made of changes, and linked into the tree's folder, where tests run.
function(ie_inputs folder fixture script)
  set(output "${CMAKE_SOURCE_DIR}/build/test_inputs/${folder}")
  list(TRANSFORM ARGN REPLACE "^OUTPUT$" "${output}" OUTPUT_VARIABLE arguments)
  add_test(NAME ${folder} COMMAND "${CMAKE_SOURCE_DIR}/build/venv/bin/python" -B "${CMAKE_SOURCE_DIR}/tests/once.py" "${output}"
    "${CMAKE_SOURCE_DIR}/${script}" ${arguments})
  set_tests_properties(${folder} PROPERTIES LABELS integration FIXTURES_SETUP ${fixture} TIMEOUT 300)
  ie_cost(${folder})
  if(NOT IS_SYMLINK "${CMAKE_BINARY_DIR}/${folder}")
    file(REMOVE_RECURSE "${CMAKE_BINARY_DIR}/${folder}")
  endif()
  file(CREATE_LINK "${output}" "${CMAKE_BINARY_DIR}/${folder}" SYMBOLIC)
endfunction()

# ie_cpu_levels(FOLDER FILTER LEVEL…): the tests of FOLDER by that filter of GoogleTest's again, at each level of vector instructions
# (IMAGE_ENGINE_CPU); ctest lists those that the CPU lacks as not run. FOLDER itself runs at the CPU's own: AVX2 or higher needs no entry where
# no loop is for AVX-512. To be called once FOLDER has its fixtures.
function(ie_cpu_levels folder filter)
  get_test_property(${folder} FIXTURES_REQUIRED fixtures)
  foreach(level ${ARGN})
    add_test(NAME ${folder}_${level} COMMAND at_cpu_level ${level} $<TARGET_FILE:test_${folder}> --gtest_filter=${filter}
      WORKING_DIRECTORY "${CMAKE_BINARY_DIR}")
    set_tests_properties(${folder}_${level} PROPERTIES LABELS integration TIMEOUT 600 SKIP_RETURN_CODE 77)
    if(fixtures)
      set_tests_properties(${folder}_${level} PROPERTIES FIXTURES_REQUIRED "${fixtures}")
    endif()
  endforeach()
  add_dependencies(test_${folder} at_cpu_level)
endfunction()

# ie_split(PROGRAM NAME CASES): runs the long CASES of a test program as a test of their own, beside the others. After its other properties are set.
function(ie_split program name cases)
  add_test(NAME ${name} COMMAND test_${program} --gtest_filter=${cases} WORKING_DIRECTORY "${CMAKE_BINARY_DIR}")
  foreach(property LABELS FIXTURES_REQUIRED TIMEOUT)
    get_test_property(${program} ${property} value)
    set_tests_properties(${name} PROPERTIES ${property} "${value}")
  endforeach()
  set_tests_properties(${program} PROPERTIES ENVIRONMENT "GTEST_FILTER=-${cases}")
  ie_cost(${name})
endfunction()
