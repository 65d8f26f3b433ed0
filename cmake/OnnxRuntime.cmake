# ONNX Runtime's headers, API 29 or later. The library itself is found when the program runs (src/infer/library.h).
find_path(ie_onnxruntime_include onnxruntime_cxx_api.h
  HINTS "${CMAKE_SOURCE_DIR}/build/onnxruntime/include" PATH_SUFFIXES onnxruntime onnxruntime/core/session)
if(NOT ie_onnxruntime_include)
  message(FATAL_ERROR "ONNX Runtime's headers (onnxruntime_cxx_api.h) are not here: tools/setup.sh fetches them")
endif()
file(STRINGS "${ie_onnxruntime_include}/onnxruntime_c_api.h" ie_onnxruntime_api REGEX "^#define ORT_API_VERSION [0-9]+")
string(REGEX REPLACE "[^0-9]" "" ie_onnxruntime_api "${ie_onnxruntime_api}")
if(ie_onnxruntime_api LESS 29)
  message(FATAL_ERROR "${ie_onnxruntime_include} holds ONNX Runtime's API ${ie_onnxruntime_api}, 29 is needed: tools/setup.sh fetches it")
endif()
add_library(onnxruntime_headers INTERFACE)
target_include_directories(onnxruntime_headers SYSTEM INTERFACE "${ie_onnxruntime_include}")
