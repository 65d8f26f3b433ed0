#include "worker/decode_file.h"

#include <utility>

namespace image_engine::worker {
namespace {

// The first error among the outcomes that were asked for.
Status all_there(const Reply& reply, std::uint32_t operations) {
  Status status;
  const auto check = [&](std::uint32_t asked, const auto& outcome) {
    if (status && (operations & asked) != 0 && !outcome) status = fail(outcome.error());
  };
  check(kReadMetadata, reply.metadata);
  check(kHash, reply.hashes);
  check(kDecode, reply.picture);
  check(kThumbnail, reply.thumbnail);
  check(kVideoClip, reply.clip);
  check(kEncode, reply.encoded);
  return status;
}

}  // namespace

Result<LeasedFile> LeasedFile::open(Pool& pool, const std::string& path) {
  IE_TRY(UniqueFd media, open_regular(path));
  return LeasedFile(pool, std::move(media));
}

LeasedFile::LeasedFile(Pool& pool, UniqueFd media, UniqueFd sidecar)
    : media_(std::move(media)), sidecar_(std::move(sidecar)), lease_(pool.lease()) {}

Status DecodedFile::decode_again(const Task& task) {
  reply_ = {};
  IE_TRY(reply_, file_.run(task));
  return all_there(reply_, task.operations);
}

Result<DecodedFile> decode_file(Pool& pool, UniqueFd media, const Task& task) {
  DecodedFile decoded(LeasedFile(pool, std::move(media)));
  IE_CHECK(decoded.decode_again(task));
  return decoded;
}

Result<DecodedFile> decode_file(Pool& pool, const std::string& path, const Task& task) {
  IE_TRY(UniqueFd media, open_regular(path));
  return decode_file(pool, std::move(media), task);
}

}  // namespace image_engine::worker
