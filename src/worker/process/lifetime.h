// How long a child of the engine lives.
#pragma once

#include <string>

namespace image_engine::worker {

// Ends the program when the engine has gone, also in the middle of its work, by a thread that watches the socket.
// (PR_SET_PDEATHSIG would do so when the thread that started us ends, whatever becomes of its process.) Returns the
// reason if it cannot, else "".
std::string end_with_the_engine();

}  // namespace image_engine::worker
