#include "io/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/error.h"

namespace fettle {

RunLock::RunLock(const RunFolder& run)
    : file_(open(run.lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  require(file_ >= 0, "cannot write '", run.lock(), "': ", std::strerror(errno));
  if (flock(file_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  close(file_);
  throw Error("another training is writing to the run folder '", run.path(),
              "'; wait until it has ended, or give another --out");
}

RunLock::~RunLock() {
  close(file_);
}

}  // namespace fettle
