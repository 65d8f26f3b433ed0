# sherpa-onnx's C header. The libraries themselves are found when the program runs (src/audio/library.h).
find_path(ie_sherpa_onnx_include sherpa-onnx/c-api/c-api.h HINTS "${CMAKE_SOURCE_DIR}/build/sherpa-onnx/include")
if(NOT ie_sherpa_onnx_include)
  message(FATAL_ERROR "sherpa-onnx's header (sherpa-onnx/c-api/c-api.h) is not here: tools/setup.sh fetches it")
endif()
add_library(sherpa_onnx_headers INTERFACE)
target_include_directories(sherpa_onnx_headers SYSTEM INTERFACE "${ie_sherpa_onnx_include}")
