/*
 * System calls that node has no function for, for tests of a mount. Each command works in the
 * current directory, prints one line for each thing it found wrong, and exits with how many.
 *
 *   kernel-calls COMMAND
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int faults;

static void check(int is_right, const char *what) {
  if (is_right) return;
  printf("%s (errno %d %s)\n", what, errno, strerror(errno));
  faults++;
}

static int make(const char *name, const char *content) {
  int fd = open(name, O_CREAT | O_RDWR | O_TRUNC, 0644);
  check(fd >= 0, name);
  check(write(fd, content, strlen(content)) == (ssize_t)strlen(content), "write");
  return fd;
}

static int holds(int fd, const char *content) {
  char bytes[256] = {0};
  ssize_t length = pread(fd, bytes, sizeof bytes, 0);
  return length == (ssize_t)strlen(content) && memcmp(bytes, content, length) == 0;
}

static void map_shared(void) {
  int fd = make("map", "0123456789");
  check(ftruncate(fd, 3 * 4096) == 0, "ftruncate");
  char *map = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  check(map != MAP_FAILED, "mmap");
  map[0] = 'x', map[2 * 4096] = 'y';
  check(msync(map, 3 * 4096, MS_SYNC) == 0, "msync");
  char byte = 0;
  check(pread(fd, &byte, 1, 2 * 4096) == 1 && byte == 'y', "a mapped byte is read");
  check(pwrite(fd, "z", 1, 1) == 1 && map[1] == 'z', "a written byte is mapped");

  /* A mapping through a handle that appends must not append. */
  int appending = open("map", O_RDWR | O_APPEND);
  char *other = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, appending, 0);
  close(fd);
  other[5] = 'a';
  check(msync(other, 4096, MS_SYNC) == 0, "msync of an appending handle");
  struct stat status;
  check(stat("map", &status) == 0 && status.st_size == 3 * 4096, "the size stays");

  /* Dirty pages of a file without a name are written after the unlink. */
  check(unlink("map") == 0, "unlink");
  memset(map, 'q', 3 * 4096);
  check(msync(map, 3 * 4096, MS_SYNC) == 0, "msync after unlink");
  check(munmap(map, 3 * 4096) == 0 && munmap(other, 4096) == 0, "munmap");
  check(pread(appending, &byte, 1, 4096) == 1 && byte == 'q', "an orphan keeps its bytes");
  close(appending);
}

/* Shows the first byte of a mapping, and again after each line of input. */
static void map_follow(void) {
  int fd = open("map", O_RDONLY);
  volatile char *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
  check(map != MAP_FAILED, "mmap");
  do {
    printf("%c\n", map[0]);
    fflush(stdout);
  } while (getchar() != EOF);
}

static void orphans(void) {
  check(mkdir("parent", 0755) == 0, "mkdir");
  int fd = make("parent/child", "abc");
  check(unlink("parent/child") == 0 && rmdir("parent") == 0, "remove");
  check(pwrite(fd, "defg", 4, 3) == 4 && holds(fd, "abcdefg"), "an orphan is written and read");
  struct stat status;
  check(fstat(fd, &status) == 0 && status.st_nlink == 0 && status.st_size == 7, "fstat");
  check(fsync(fd) == 0 && ftruncate(fd, 2) == 0 && holds(fd, "ab"), "fsync and ftruncate");
  close(fd);

  check(mkdir("gone", 0755) == 0 && chdir("gone") == 0 && rmdir("../gone") == 0, "chdir");
  check(open("x", O_CREAT | O_WRONLY, 0644) < 0 && errno == ENOENT, "a removed directory");
  check(chdir("..") == 0, "its parent is still there");
}

static void nameless(void) {
  int fd = open(".", O_TMPFILE | O_RDWR, 0640);
  check(fd >= 0, "O_TMPFILE");
  check(write(fd, "tmp", 3) == 3, "write");
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  check(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0, "linkat");
  close(fd);
  fd = open("named", O_RDONLY);
  check(fd >= 0 && holds(fd, "tmp"), "the name leads to the bytes");
  close(fd), unlink("named");
}

static void renames(void) {
  close(make("a", "a")), close(make("b", "b"));
  check(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE) != 0 && errno == EEXIST,
        "RENAME_NOREPLACE");
  check(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE) == 0, "RENAME_EXCHANGE");
  int fd = open("a", O_RDONLY);
  check(holds(fd, "b"), "exchanged");
  close(fd);
  check(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE) == 0, "to a free name");
  unlink("b"), unlink("c");
}

static void ranges(void) {
  int fd = make("sparse", "");
  check(pwrite(fd, "x", 1, 1 << 20) == 1, "write far away");
  check(lseek(fd, 0, SEEK_DATA) > 0 && lseek(fd, 0, SEEK_HOLE) == 0, "a hole first");
  check(lseek(fd, 2 << 20, SEEK_DATA) < 0 && errno == ENXIO, "behind the end");
  check(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 << 20, 1) == 0, "punch");
  char byte = 'q';
  check(pread(fd, &byte, 1, 1 << 20) == 1 && byte == 0, "the hole reads as zero");
  check(ftruncate(fd, 1LL << 40) == 0, "1 TiB");
  check(pwrite(fd, "end", 3, (1LL << 40) - 3) == 3, "its last bytes");
  struct stat status;
  check(fstat(fd, &status) == 0 && status.st_size == 1LL << 40, "its size");

  int from = make("from", "0123456789"), to = make("to", "abcdefghij");
  loff_t in = 2, out = 5;
  check(copy_file_range(from, &in, to, &out, 3, 0) == 3, "copy_file_range");
  check(holds(to, "abcde234ij"), "copied");
  unlink("sparse"), unlink("from"), unlink("to");
  close(fd), close(from), close(to);
}

/* What an NFS server does: a file by its handle, when nothing about it is cached. */
static void handles(void) {
  struct { struct file_handle handle; unsigned char bytes[128]; } file = {.handle.handle_bytes = 128};
  check(mkdir("deep", 0755) == 0, "mkdir");
  close(make("deep/file", "deep"));
  int mount_id, root = open(".", O_RDONLY | O_DIRECTORY);
  check(name_to_handle_at(AT_FDCWD, "deep/file", &file.handle, &mount_id, 0) == 0, "a handle");
  int drop = open("/proc/sys/vm/drop_caches", O_WRONLY);
  if (drop >= 0) check(write(drop, "2", 1) == 1, "drop_caches"), close(drop);
  int fd = open_by_handle_at(root, &file.handle, O_RDONLY);
  check(fd >= 0 && holds(fd, "deep"), "open_by_handle_at");
  close(fd), unlink("deep/file"), rmdir("deep"), close(root);
}

static void privileges(void) {
  int fd = make("suid", "x");
  struct stat status;
  check(fchmod(fd, 06755) == 0 && chown("suid", 1000, 1000) == 0, "chown");
  check(stat("suid", &status) == 0 && (status.st_mode & 07777) == 0755, "chown clears");
  check(fchmod(fd, 06777) == 0 && chown("suid", -1, -1) == 0, "chown to nobody");
  check(stat("suid", &status) == 0 && (status.st_mode & 07777) == 0777, "it clears too");
  check(fchmod(fd, 06777) == 0, "fchmod");
  check(pwrite(fd, "y", 1, 0) == 1 && stat("suid", &status) == 0, "root writes");
  check((status.st_mode & 07777) == 06777, "root clears nothing");
  pid_t child = fork();
  if (child == 0) {
    int mine = setgid(65534) == 0 && setuid(65534) == 0 ? open("suid", O_WRONLY) : -1;
    exit(mine >= 0 && write(mine, "z", 1) == 1 ? 0 : 1);
  }
  int ended;
  check(waitpid(child, &ended, 0) == child && ended == 0, "another user writes");
  check(stat("suid", &status) == 0 && (status.st_mode & 07777) == 0777, "another user clears");
  unlink("suid"), close(fd);
}

/* Listing while another adds and removes: what was there throughout comes once. */
static void listing(void) {
  char name[32];
  check(mkdir("many", 0755) == 0 && chdir("many") == 0, "mkdir");
  for (int index = 0; index < 500; index++)
    snprintf(name, sizeof name, "keep%d", index), close(make(name, ""));
  for (int round = 0; round < 4; round++) {
    int seen[500] = {0}, kept = 0, count = 0;
    DIR *directory = opendir(".");
    for (struct dirent *entry; (entry = readdir(directory)) != NULL; count++) {
      if (sscanf(entry->d_name, "keep%d", &kept) == 1) seen[kept]++;
      if (count % 50 == 0) {
        snprintf(name, sizeof name, "new%d-%d", round, count), close(make(name, ""));
        snprintf(name, sizeof name, "new%d-%d", round - 1, count), unlink(name);
      }
    }
    closedir(directory);
    int once = 0;
    for (int index = 0; index < 500; index++) once += seen[index] == 1;
    check(once == 500, "each name that stays comes once");
  }
  int removed = 0;
  DIR *directory = opendir(".");
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
    if (entry->d_name[0] != '.') removed += unlink(entry->d_name) == 0;
  closedir(directory);
  check(removed >= 500 && chdir("..") == 0 && rmdir("many") == 0, "removing while listing");
}

int main(int count, char **arguments) {
  const struct { const char *name; void (*run)(void); } commands[] = {
      {"map-shared", map_shared}, {"orphans", orphans},       {"nameless", nameless},
      {"renames", renames},       {"ranges", ranges},         {"handles", handles},
      {"privileges", privileges}, {"listing", listing},       {"map-follow", map_follow},
  };
  for (size_t index = 0; index < sizeof commands / sizeof *commands; index++)
    if (count > 1 && strcmp(arguments[1], commands[index].name) == 0) {
      commands[index].run();
      return faults;
    }
  return 99;
}
