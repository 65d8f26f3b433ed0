#include "worker/process/sandbox.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "core/sanitizers.h"
#include "core/text.h"

#if IE_ADDRESS_SANITIZER
// LeakSanitizer reads /proc, which the sandbox hides; the library is checked by its own tests.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }  // NOLINT: the sanitizer's name
#endif

namespace image_engine::worker {
namespace {

// Needed for decoding: memory, threads, clocks, reading open files, and the socket to the engine.
constexpr std::array kAllowed = {
    SCMP_SYS(read),
    SCMP_SYS(pread64),
    SCMP_SYS(readv),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(lseek),
    SCMP_SYS(fstat),
    SCMP_SYS(close),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(recvfrom),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(getrandom),
    SCMP_SYS(getcpu),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(membarrier),
    SCMP_SYS(getrusage),
    SCMP_SYS(sched_get_priority_max),
    SCMP_SYS(sched_get_priority_min),
};

// Calls that are allowed with harmless arguments. Filters cannot dereference pointers.
struct Conditional {
  int call;
  scmp_arg_cmp condition;
};

std::vector<Conditional> conditional_calls() {
  // Of a thread, and nothing else.
  constexpr std::uint64_t kNeverCloned = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                         CLONE_NEWPID | CLONE_NEWNET | CLONE_VFORK | CLONE_PTRACE | CLONE_PARENT;
  const auto none_of = [](unsigned argument, std::uint64_t bits) {
    return scmp_arg_cmp{argument, SCMP_CMP_MASKED_EQ, bits, 0};
  };
  return {
      {SCMP_SYS(clone), {0, SCMP_CMP_MASKED_EQ, CLONE_THREAD | kNeverCloned, CLONE_THREAD}},
      // Signals to itself only, as abort() needs. kill() and all others are refused.
      {SCMP_SYS(tgkill), {0, SCMP_CMP_EQ, static_cast<std::uint64_t>(::getpid()), 0}},
      // No code other than what was loaded.
      {SCMP_SYS(mmap), none_of(2, PROT_EXEC)},
      {SCMP_SYS(mprotect), none_of(2, PROT_EXEC)},
      // As used by fstat(). The flag also permits a path, but the empty root hides all files.
      {SCMP_SYS(newfstatat), {3, SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH}},
      {SCMP_SYS(prctl), {0, SCMP_CMP_EQ, PR_SET_NAME, 0}},  // names a thread
      {SCMP_SYS(fcntl), {1, SCMP_CMP_EQ, F_GETFL, 0}},
  };
}

// For all threads. clone3 hides its flags in memory, so it answers ENOSYS and glibc falls back to clone.
bool load_filter(const Wall& wall = {}) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (filter == nullptr) return false;
  bool ok = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) == 0;
  for (int call : kAllowed) ok = ok && seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) == 0;
  for (const auto& [call, condition] : conditional_calls())
    ok = ok && seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &condition) == 0;
  for (const int device : wall.devices) {
    const scmp_arg_cmp is_device{0, SCMP_CMP_EQ, static_cast<std::uint64_t>(device), 0};
    ok = ok && seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, &is_device) == 0;
  }
  if (wall.code >= 0) {
    // The descriptor is closed after that, and there is no way to make another of its number.
    const scmp_arg_cmp of_file[] = {
        {2, SCMP_CMP_MASKED_EQ, PROT_EXEC | PROT_WRITE, PROT_EXEC},
        {4, SCMP_CMP_MASKED_EQ, 0xFFFFFFFF, static_cast<std::uint64_t>(wall.code)},
    };
    ok = ok && seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, of_file) == 0;
    ok = ok && seccomp_rule_add(filter, SCMP_ACT_TRAP, SCMP_SYS(openat), 0) == 0;
  }
  ok = ok && seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
  ok = ok && seccomp_load(filter) == 0;
  seccomp_release(filter);
  return ok;
}

// The kernel's landlock_ruleset_attr as of ABI 6; headers may be older.
struct Ruleset {
  std::uint64_t files = 0;
  std::uint64_t network = 0;
  std::uint64_t scopes = 0;
};

// Without a single rule, every access that the kernel's version knows of is refused: to the file system, from ABI 4 on
// to TCP, from 6 on to abstract sockets and the signals of others.
int restrict_access() {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1) return 0;
  // Rights of ABI 1 are bits 0–12; 2 added REFER, 3 TRUNCATE, 5 IOCTL_DEV (Linux user-space API guide, "Landlock").
  const int bits = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;
  Ruleset wanted;
  wanted.files = (std::uint64_t{1} << bits) - 1;
  wanted.network = 3;  // bind, connect
  wanted.scopes = 3;   // abstract sockets, signals
  const size_t known = abi >= 6 ? sizeof wanted : abi >= 4 ? 2 * sizeof wanted.files : sizeof wanted.files;
  const long ruleset = ::syscall(SYS_landlock_create_ruleset, &wanted, known, 0);
  if (ruleset < 0) return 0;
  const long restricted = ::syscall(SYS_landlock_restrict_self, ruleset, 0);
  ::close(static_cast<int>(ruleset));
  return restricted == 0 ? static_cast<int>(abi) : 0;
}

// The root becomes an empty folder in memory that cannot be written to. Needs a mount namespace of its own.
bool empty_the_root() {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  constexpr unsigned long kFlags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  const auto covers = [&](const char* folder) {
    return ::mount("empty", folder, "tmpfs", kFlags, "size=4k,nr_inodes=1") == 0 && ::chdir(folder) == 0;
  };
  constexpr std::array kFolders = {"/tmp", "/proc", "/usr"};
  if (std::none_of(kFolders.begin(), kFolders.end(), covers)) return false;
  // Stacks the old root on the new one and takes it away again (pivot_root(2), "pivot_root(".", ".")").
  return ::syscall(SYS_pivot_root, ".", ".") == 0 && ::umount2(".", MNT_DETACH) == 0 && ::chdir("/") == 0;
}

// Root's, or those that a user namespace of one's own gives.
void drop_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  ::syscall(SYS_capset, &header, none);
}

bool limit(int resource, std::uint64_t value) {
  const rlimit wanted{value, value};
  return ::setrlimit(static_cast<__rlimit_resource>(resource), &wanted) == 0;
}

// A column of /proc/self/statm, in bytes.
std::uint64_t statm_bytes(size_t column) {
  unsigned long long fields[6] = {};
  if (std::FILE* file = std::fopen("/proc/self/statm", "re")) {
    for (unsigned long long& field : fields)
      if (std::fscanf(file, "%llu", &field) != 1) field = 0;
    std::fclose(file);
  }
  return fields[column] * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}
std::uint64_t mapped_bytes() { return statm_bytes(0); }
std::uint64_t private_bytes() { return statm_bytes(5); }

// Since Linux 5.14 a user namespace counts its own processes and threads; before, all of the user's count.
bool counts_by_namespace() {
  utsname system{};
  int major = 0, minor = 0;
  return ::uname(&system) == 0 && std::sscanf(system.release, "%d.%d", &major, &minor) == 2 &&
         (major > 5 || (major == 5 && minor >= 14));
}

// Sanitizers' shadow memory and symboliser need more than the sandbox allows.
constexpr bool kSanitized = IE_ADDRESS_SANITIZER || IE_THREAD_SANITIZER;
// Thread stacks and arenas are reserved, not used: room for them on top.
constexpr std::uint64_t kReserved = std::uint64_t{512} << 20;
constexpr std::uint64_t kMostThreads = 256;  // of libraries, one pool each, on large machines

}  // namespace

void enter_early(Layers& layers) {
  layers.no_new_privileges = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
  layers.processes = ::getpid() == 1;  // the engine started it so
  layers.namespaces = ::unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) == 0;
}

std::string lacking_memory(std::uint64_t memory_limit) {
  rlimit space{};
  if (kSanitized || ::getrlimit(RLIMIT_AS, &space) != 0 || space.rlim_cur == RLIM_INFINITY) return "";
  const std::uint64_t needed = mapped_bytes() + 2 * memory_limit + kMaxReplyBytes + kReserved;  // private and shared
  if (space.rlim_cur >= needed) return "";
  return fmt::format(
      "{} of address space are allowed and {} needed: raise the limit (ulimit -v) or lower "
      "worker.memory_limit_mb",
      human_bytes(static_cast<std::uint64_t>(space.rlim_cur)), human_bytes(needed));
}

void enter_late(Layers& layers, const Wall& wall) {
  ::prctl(PR_SET_DUMPABLE, 0);
  bool limits = limit(RLIMIT_CORE, 0) && limit(RLIMIT_NOFILE, wall.descriptors);
  if (!kSanitized && wall.memory_limit > 0)
    limits = limit(RLIMIT_DATA, private_bytes() + wall.memory_limit + kReserved) && limits;
  if (!kSanitized && layers.namespaces && counts_by_namespace()) limits = limit(RLIMIT_NPROC, kMostThreads) && limits;
  layers.limits = limits;
  // Sanitizers read /proc for their reports.
  layers.empty_root = !kSanitized && layers.namespaces && empty_the_root();
  drop_capabilities();
  layers.landlock = static_cast<std::uint8_t>(restrict_access());
  layers.seccomp = !kSanitized && load_filter(wall);
}

bool enter_only(std::string_view layer, Layers& layers) {
  if (layer == "landlock")
    layers.landlock = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? static_cast<std::uint8_t>(restrict_access()) : 0;
  else if (layer == "seccomp")
    layers.seccomp = !kSanitized && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && load_filter();
  else
    return false;
  return true;
}

}  // namespace image_engine::worker
