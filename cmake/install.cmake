# What `cmake --install` puts where, and the same shape in the build tree, so that the programs find their parts in both:
#   bin/image-engine, bin/image-engine-worker, bin/image-engine-plugin-host; include/image_engine/plugin.h
#   share/image-engine/config/*.yaml, share/image-engine/places.csv
#   lib/libonnxruntime.so.1 (an installation and the bundle; the build tree uses build/onnxruntime)
#   lib/vips-modules-X.Y/: the loadable libvips modules that the worker may use, and no others (build tree and bundle only;
#   an installation uses those of its system)
set(IE_VIPS_MODULES vips-heif vips-jxl)
set(ie_places "${CMAKE_SOURCE_DIR}/build/share/places.csv") # made by tools/setup.sh

string(REGEX MATCH "^[0-9]+\\.[0-9]+" ie_vips_series "${vips_VERSION}")
pkg_get_variable(ie_vips_libdir vips libdir)
set(ie_vips_module_dir "vips-modules-${ie_vips_series}")

file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/lib/${ie_vips_module_dir}" "${CMAKE_BINARY_DIR}/share/image-engine")
foreach(module ${IE_VIPS_MODULES})
  set(file "${ie_vips_libdir}/${ie_vips_module_dir}/${module}.so")
  if(EXISTS "${file}")
    file(CREATE_LINK "${file}" "${CMAKE_BINARY_DIR}/lib/${ie_vips_module_dir}/${module}.so" SYMBOLIC)
  else()
    message(STATUS "${file} is absent: its formats will be missing")
  endif()
endforeach()
file(CREATE_LINK "${CMAKE_SOURCE_DIR}/config" "${CMAKE_BINARY_DIR}/share/image-engine/config" SYMBOLIC)
file(CREATE_LINK "${ie_places}" "${CMAKE_BINARY_DIR}/share/image-engine/places.csv" SYMBOLIC)

foreach(program image-engine image-engine-worker image-engine-plugin-host)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
  endif()
endforeach()
install(DIRECTORY "${CMAKE_SOURCE_DIR}/include/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h")
install(DIRECTORY "${CMAKE_SOURCE_DIR}/config/" DESTINATION "${CMAKE_INSTALL_DATADIR}/image-engine/config" FILES_MATCHING PATTERN "*.yaml" PATTERN "*.txt")
install(DIRECTORY "${CMAKE_SOURCE_DIR}/tools/export/" DESTINATION "${CMAKE_INSTALL_DATADIR}/image-engine/tools/export" FILES_MATCHING PATTERN "*.py" PATTERN "*.txt")
install(DIRECTORY "${CMAKE_SOURCE_DIR}/tools/models/" DESTINATION "${CMAKE_INSTALL_DATADIR}/image-engine/tools/models" FILES_MATCHING PATTERN "*.py" PATTERN "*.txt")
install(FILES "${CMAKE_SOURCE_DIR}/build/onnxruntime/lib/libonnxruntime.so.1" DESTINATION lib OPTIONAL)
install(FILES "${ie_places}" DESTINATION "${CMAKE_INSTALL_DATADIR}/image-engine" OPTIONAL)
install(FILES "${CMAKE_SOURCE_DIR}/LICENSE" "${CMAKE_SOURCE_DIR}/THIRD_PARTY.md" DESTINATION "${CMAKE_INSTALL_DOCDIR}")

if(IE_TESTS)
  # Tests of the tree and of the programs as they are linked and packed; see CONTRIBUTING.md for the labels.
  find_program(ie_python NAMES python3 PATHS "${CMAKE_SOURCE_DIR}/build/venv/bin" /usr/bin NO_DEFAULT_PATH REQUIRED)
  add_test(NAME includes COMMAND "${ie_python}" "${CMAKE_SOURCE_DIR}/tests/includes/check_includes.py" "${CMAKE_SOURCE_DIR}/src")
  add_test(NAME includes_checker COMMAND "${ie_python}" "${CMAKE_SOURCE_DIR}/tests/includes/check_the_check.py")
  set_tests_properties(includes includes_checker PROPERTIES LABELS unit)
  if(TARGET image-engine)
    add_test(NAME linkage COMMAND "${CMAKE_SOURCE_DIR}/tests/dist/check_linkage.sh" "$<TARGET_FILE:image-engine>")
    set_tests_properties(linkage PROPERTIES LABELS integration)
    add_test(NAME dist COMMAND "${CMAKE_SOURCE_DIR}/tests/dist/run.sh" "${CMAKE_BINARY_DIR}")
    set_tests_properties(dist PROPERTIES LABELS "slow;covers-dist;covers-worker" SKIP_RETURN_CODE 77 TIMEOUT 1200)
  endif()
endif()
