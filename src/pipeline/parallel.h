// A bounded oneTBB pipeline: many files at once, one writer.
#pragma once

#include <tbb/global_control.h>
#include <tbb/parallel_pipeline.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <stop_token>
#include <type_traits>

#include "core/result.h"
#include "pipeline/tsan.h"

namespace image_engine::pipeline {

// Calls work(i) for each i below `count` on `threads` threads, and sink(i, result) for one result at a time, in no
// order. At most `in_flight` results exist at once, by default twice as many as threads. While the sink commits, all
// threads wait once that many wait for it: small results may be many. When `stop` is requested or the sink fails, it
// stops after the items in flight have reached the sink; the sink's error is returned.
template <typename Work, typename Sink>
Status parallel_files(size_t count, int threads, Work work, Sink sink, const std::stop_token& stop,
                      size_t in_flight = 0) {
  using Value = std::invoke_result_t<Work, size_t>;
  struct Item {
    size_t index;
    Value value;
  };
  using Token = Item*;  // owned; oneTBB passes pointers as they are, and copies larger tokens
  size_t next = 0;
  std::atomic<bool> failed = false;
  Status status;
  const auto source = [&](tbb::flow_control& control) -> size_t {
    happens_after(&next);
    if (next >= count || failed || stop.stop_requested()) {
      control.stop();
      happens_before(&next);
      return 0;
    }
    const size_t index = next++;
    happens_before(&next);
    return index;
  };
  const auto middle = [&](size_t index) {
    happens_after(&work);
    auto item = std::make_unique<Item>(Item{index, work(index)});
    happens_before(item.get());
    return item.release();
  };
  const auto last = [&](Token token) {
    happens_after(token);
    happens_after(&status);
    const std::unique_ptr<Item> item(token);
    if (!failed)
      if (Status done = sink(item->index, item->value); !done) {
        status = done;
        failed = true;
      }
    happens_before(&status);
  };
  using tbb::filter_mode;
  const auto filters = tbb::make_filter<void, size_t>(filter_mode::serial_in_order, source) &
                       tbb::make_filter<size_t, Token>(filter_mode::parallel, middle) &
                       tbb::make_filter<Token, void>(filter_mode::serial_out_of_order, last);
  // For ThreadSanitizer: filters run after this; the source and the sink are serial; the sink follows an item's work.
  for (const void* order :
       {static_cast<const void*>(&next), static_cast<const void*>(&work), static_cast<const void*>(&status)})
    happens_before(order);
  // Threads mostly wait for their worker process, so there may be more threads than cores.
  const tbb::global_control allowed(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(threads) + 1);
  tbb::task_arena arena(threads + 1);
  const size_t most = std::max(in_flight, static_cast<size_t>(threads) * 2);
  arena.execute([&] { tbb::parallel_pipeline(most, filters); });
  happens_after(&next);
  happens_after(&status);
  return status;
}

}  // namespace image_engine::pipeline
