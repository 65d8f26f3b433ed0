// The sanitizer of this build: GCC defines macros, clang features.
#pragma once

#ifndef __has_feature
#define __has_feature(name) 0  // NOLINT: clang's name
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define IE_ADDRESS_SANITIZER 1
#else
#define IE_ADDRESS_SANITIZER 0
#endif

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define IE_THREAD_SANITIZER 1
#else
#define IE_THREAD_SANITIZER 0
#endif
