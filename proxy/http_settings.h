// What the configuration means for messages: how strictly they are read and how clients' fields are
// forwarded. Apart from the server, so that `edge --explain` judges exactly as it does.

#pragma once

#include <cstddef>

#include "http/forwarding.h"
#include "http/validation_policy.h"
#include "proxy/config.h"

namespace edge::proxy {

// An exchange's memory for the trailers of a body; more than that is refused (see
// http::ChunkReader).
inline constexpr size_t kTrailerBytesMax = 2048;

http::ValidationPolicy MakeValidationPolicy(const Config& config);
http::ClientFieldPolicy MakeForwardedFields(const Config& config);

}  // namespace edge::proxy
