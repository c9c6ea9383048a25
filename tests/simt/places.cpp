// From a return address to a line of source, through the debug information and addr2line.
#include <link.h>

#include <cstdio>
#include <map>
#include <sstream>

#include "tests/simt/state.h"

namespace simt {
namespace {

std::map<const void*, std::string>& known() {
  static std::map<const void*, std::string> places;
  return places;
}

/// The part of a path inside the project.
std::string shortened(const std::string& path) {
  for (const char* folder : {"/kernels/", "/tests/"}) {
    const size_t at = path.rfind(folder);
    if (at != std::string::npos) return path.substr(at + 1);
  }
  return path;
}

/// Lines of the wrappers are of no help: their caller's line is.
bool in_wrapper(const std::string& place) {
  return place.find("kernels/cu.h:") != std::string::npos ||
         place.find("kernels/cu/") != std::string::npos ||
         place.find("simt/simt.h:") != std::string::npos || place.find("??") == 0 ||
         place.find("/usr/") == 0;
}

}  // namespace

uintptr_t program_base() {
  static const uintptr_t base = [] {
    uintptr_t found = 0;
    dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void* out) {
          *static_cast<uintptr_t*>(out) = info->dlpi_addr;
          return 1;  // the first is the program
        },
        &found);
    return found;
  }();
  return base;
}

void look_up_places(const std::vector<const void*>& pcs) {
  std::vector<const void*> unknown;
  std::ostringstream command;
  command << "addr2line -a -i -e /proc/" << getpid() << "/exe" << std::hex;
  for (const void* pc : pcs) {
    if (!pc || known().contains(pc)) continue;
    known()[pc] = "an unknown line";
    unknown.push_back(pc);
    // The call stands before its return address.
    command << " 0x" << reinterpret_cast<uintptr_t>(pc) - program_base() - 1;
  }
  if (unknown.empty()) return;
  command << " 2>/dev/null";
  FILE* pipe = popen(command.str().c_str(), "r");
  if (!pipe) return;
  char line[4096];
  size_t next = 0;
  bool found = true;
  while (std::fgets(line, sizeof(line), pipe)) {
    std::string text = line;
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    if (text.starts_with("0x")) {
      ++next;
      found = false;
      continue;
    }
    if (found || next == 0 || next > unknown.size() || in_wrapper(text)) continue;
    known()[unknown[next - 1]] = shortened(text.substr(0, text.find(" (discriminator")));
    found = true;
  }
  pclose(pipe);
}

const std::string& place_of(const void* pc) {
  const InExecutor inside;
  look_up_places({pc});
  return known()[pc];
}

}  // namespace simt
