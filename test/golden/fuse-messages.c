/*
 * Makes the golden vectors of the FUSE protocol from the kernel's own header, so that they owe
 * nothing to our codec. Prints the vectors of requests, or with the argument "reply" of replies:
 *
 *   cc -o /var/tmp/fuse-messages test/golden/fuse-messages.c
 *   /var/tmp/fuse-messages > test/golden/fuse-request.json
 *   /var/tmp/fuse-messages reply > test/golden/fuse-reply.json
 *
 * All requests but FORGET have unique 0x100000002, inode 0x200000003, user 1000, group 1001.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define HANDLE 0x300000004ULL
#define OFFSET 0x400000005ULL

static unsigned char bytes[4096];
static size_t length;
static const char *separator = "{\n";

static void put(const void *data, size_t size) {
  memcpy(bytes + length, data, size);
  length += size;
}

static void text(const char *name) { put(name, strlen(name) + 1); }

static void print(const char *name) {
  printf("%s  \"%s\": \"", separator, name);
  for (size_t index = 0; index < length; index++) printf("%02x", bytes[index]);
  printf("\"");
  separator = ",\n";
}

static void begin(uint32_t opcode) {
  struct fuse_in_header header = {.opcode = opcode, .unique = 0x100000002ULL,
                                  .nodeid = 0x200000003ULL, .uid = 1000, .gid = 1001, .pid = 77};
  length = 0;
  put(&header, sizeof header);
}

static void end(const char *name) {
  uint32_t size = length;
  memcpy(bytes, &size, sizeof size);
  print(name);
}

#define FIELDS(type, ...) do { struct type in = {__VA_ARGS__}; put(&in, sizeof in); } while (0)

static void requests(void) {
  begin(FUSE_LOOKUP), text("caf\xe9\xff"), end("lookup of a name that is not UTF-8");
  begin(FUSE_FORGET); FIELDS(fuse_forget_in, .nlookup = 0x500000006ULL); end("forget");
  begin(FUSE_BATCH_FORGET);
  FIELDS(fuse_batch_forget_in, .count = 2);
  FIELDS(fuse_forget_one, .nodeid = 7, .nlookup = 1);
  FIELDS(fuse_forget_one, .nodeid = 0x600000007ULL, .nlookup = 2);
  end("batch forget");
  begin(FUSE_SETATTR);
  FIELDS(fuse_setattr_in, .valid = FATTR_MODE | FATTR_UID | FATTR_GID | FATTR_SIZE | FATTR_ATIME |
         FATTR_MTIME | FATTR_FH | FATTR_LOCKOWNER, .fh = HANDLE, .size = OFFSET, .atime = -2,
         .mtime = 0x100000001ULL, .ctime = 9, .atimensec = 999999999, .mtimensec = 1,
         .mode = S_IFREG | 04755, .uid = 5, .gid = 0xfffffffe);
  end("setattr of everything");
  begin(FUSE_SETATTR);
  FIELDS(fuse_setattr_in, .valid = FATTR_ATIME | FATTR_ATIME_NOW | FATTR_MTIME | FATTR_MTIME_NOW);
  end("setattr to now");
  begin(FUSE_SETATTR);
  FIELDS(fuse_setattr_in, .valid = FATTR_MTIME, .mtime = -1, .mtimensec = 500000000);
  end("setattr of mtime alone");
  begin(FUSE_SETATTR);
  FIELDS(fuse_setattr_in, .valid = FATTR_SIZE | FATTR_KILL_SUIDGID);
  end("setattr that cuts and kills privileges");
  begin(FUSE_SETATTR); FIELDS(fuse_setattr_in, .valid = 0); end("chown to -1 and -1");
  begin(FUSE_SYMLINK), text("name"), text("../target"), end("symlink");
  begin(FUSE_MKNOD);
  FIELDS(fuse_mknod_in, .mode = S_IFCHR | 0600, .rdev = 0x103, .umask = 022);
  text("null"), end("mknod");
  begin(FUSE_MKDIR); FIELDS(fuse_mkdir_in, .mode = 01755, .umask = 022); text("d"), end("mkdir");
  begin(FUSE_UNLINK), text("gone"), end("unlink");
  begin(FUSE_RENAME); FIELDS(fuse_rename_in, .newdir = 8); text("a"), text("bc"), end("rename");
  begin(FUSE_RENAME2); FIELDS(fuse_rename2_in, .newdir = 8, .flags = RENAME_NOREPLACE);
  text("a"), text("bc"), end("rename without replacing");
  begin(FUSE_RENAME2); FIELDS(fuse_rename2_in, .newdir = 8, .flags = RENAME_EXCHANGE);
  text("a"), text("bc"), end("rename that exchanges");
  begin(FUSE_RENAME2); FIELDS(fuse_rename2_in, .newdir = 8, .flags = RENAME_WHITEOUT);
  text("a"), text("bc"), end("rename with a whiteout");
  begin(FUSE_LINK); FIELDS(fuse_link_in, .oldnodeid = 0x600000007ULL); text("l"), end("link");
  begin(FUSE_OPEN);
  FIELDS(fuse_open_in, .flags = O_RDWR | O_TRUNC | O_APPEND | O_CLOEXEC | O_NONBLOCK,
         .open_flags = FUSE_OPEN_KILL_SUIDGID);
  end("open");
  begin(FUSE_CREATE);
  FIELDS(fuse_create_in, .flags = O_WRONLY | O_CREAT | O_EXCL, .mode = S_IFREG | 0644,
         .umask = 022);
  text("new"), end("create");
  begin(FUSE_READ);
  FIELDS(fuse_read_in, .fh = HANDLE, .offset = OFFSET, .size = 131072, .flags = O_RDONLY);
  end("read");
  begin(FUSE_WRITE);
  FIELDS(fuse_write_in, .fh = HANDLE, .offset = OFFSET, .size = 3,
         .write_flags = FUSE_WRITE_KILL_SUIDGID, .flags = O_WRONLY);
  put("abc", 3), end("write");
  begin(FUSE_WRITE);
  FIELDS(fuse_write_in, .fh = HANDLE, .offset = 1, .size = 1, .flags = O_WRONLY | O_APPEND);
  put("a", 1), end("write that appends");
  begin(FUSE_WRITE);
  FIELDS(fuse_write_in, .fh = HANDLE, .offset = 1, .size = 1, .write_flags = FUSE_WRITE_CACHE,
         .flags = O_WRONLY | O_APPEND);
  put("a", 1), end("write of a mapped page through a handle that appends");
  begin(FUSE_RELEASE); FIELDS(fuse_release_in, .fh = HANDLE, .flags = O_RDWR); end("release");
  begin(FUSE_SETXATTR); {
    uint32_t in[2] = {3, XATTR_CREATE};
    put(in, sizeof in), text("user.a"), put("x\0y", 3), end("setxattr that creates");
  }
  begin(FUSE_GETXATTR); FIELDS(fuse_getxattr_in, .size = 64); text("user.a"), end("getxattr");
  begin(FUSE_LISTXATTR); FIELDS(fuse_getxattr_in, .size = 65536); end("listxattr");
  begin(FUSE_INIT);
  FIELDS(fuse_init_in, .major = 7, .minor = 38, .max_readahead = 131072,
         .flags = FUSE_INIT_EXT | FUSE_ASYNC_READ, .flags2 = FUSE_HAS_EXPIRE_ONLY >> 32);
  end("init");
  begin(FUSE_INIT); {
    uint32_t in[4] = {7, 31, 65536, FUSE_ASYNC_READ};
    put(in, sizeof in), end("init of an older kernel");
  }
  begin(FUSE_INTERRUPT); FIELDS(fuse_interrupt_in, .unique = 0x700000008ULL); end("interrupt");
  begin(FUSE_FALLOCATE);
  FIELDS(fuse_fallocate_in, .fh = HANDLE, .offset = OFFSET, .length = 4096, .mode = 3);
  end("fallocate");
  begin(FUSE_LSEEK); FIELDS(fuse_lseek_in, .fh = HANDLE, .offset = OFFSET, .whence = SEEK_DATA);
  end("lseek to data");
  begin(FUSE_LSEEK); FIELDS(fuse_lseek_in, .fh = HANDLE, .offset = OFFSET, .whence = SEEK_HOLE);
  end("lseek to a hole");
  begin(FUSE_LSEEK); FIELDS(fuse_lseek_in, .fh = HANDLE, .offset = OFFSET, .whence = SEEK_END);
  end("lseek to the end");
  begin(FUSE_COPY_FILE_RANGE);
  FIELDS(fuse_copy_file_range_in, .fh_in = HANDLE, .off_in = OFFSET, .nodeid_out = 9,
         .fh_out = 0x800000009ULL, .off_out = 11, .len = 0x90000000aULL);
  end("copy file range");
}

static const struct fuse_attr ATTRIBUTES = {
    .ino = 0x200000003ULL, .size = OFFSET, .blocks = 0x300000001ULL, .atime = -2, .mtime = 1,
    .ctime = 0x100000000ULL, .atimensec = 999999999, .mtimensec = 0, .ctimensec = 7,
    .mode = S_IFREG | 0644, .nlink = 2, .uid = 1000, .gid = 0xfffffffe, .rdev = 0x103,
    .blksize = 4096};

static const struct fuse_entry_out ENTRY = {.nodeid = 0x200000003ULL, .entry_valid = 86400,
                                            .attr_valid = 86400, .attr = ATTRIBUTES};

static void begin_reply(void) {
  struct fuse_out_header header = {.unique = 0x100000002ULL};
  length = 0;
  put(&header, sizeof header);
}

static void directory_entry(const char *name, uint64_t ino, uint64_t off, uint32_t type) {
  struct fuse_dirent entry = {.ino = ino, .off = off, .namelen = strlen(name), .type = type};
  put(&entry, FUSE_NAME_OFFSET);
  put(name, strlen(name));
  while (length % 8 != 0) put("", 1);
}

static void replies(void) {
  begin_reply(), end("nothing");
  begin_reply();
  int32_t error = -ENOENT;
  memcpy(bytes + 4, &error, sizeof error), end("failure");
  begin_reply();
  FIELDS(fuse_init_out, .major = 7, .minor = 38, .max_readahead = 1048576,
         .flags = FUSE_INIT_EXT | FUSE_ASYNC_READ, .max_background = 4096,
         .congestion_threshold = 3072, .max_write = 1048576, .time_gran = 1, .max_pages = 256,
         .flags2 = FUSE_HAS_EXPIRE_ONLY >> 32);
  end("init");
  begin_reply(), put(&ENTRY, sizeof ENTRY), end("entry");
  begin_reply(); FIELDS(fuse_entry_out, .entry_valid = 86400); end("no entry");
  begin_reply(); FIELDS(fuse_attr_out, .attr_valid = 86400, .attr = ATTRIBUTES); end("attributes");
  begin_reply(); FIELDS(fuse_open_out, .fh = HANDLE, .open_flags = FOPEN_KEEP_CACHE);
  end("opened");
  begin_reply(), put(&ENTRY, sizeof ENTRY);
  FIELDS(fuse_open_out, .fh = HANDLE, .open_flags = FOPEN_KEEP_CACHE);
  end("created");
  begin_reply(); FIELDS(fuse_write_out, .size = 4096); end("count");
  begin_reply(); FIELDS(fuse_lseek_out, .offset = OFFSET); end("wide count");
  begin_reply();
  FIELDS(fuse_statfs_out, .st = {.blocks = OFFSET, .bfree = 5, .bavail = 4, .files = 3,
         .ffree = 2, .bsize = 4096, .namelen = 255, .frsize = 4096});
  end("statfs");
  begin_reply(), put("a\0bc", 5), end("names");
  begin_reply(), put("target", 6), end("bytes");
  begin_reply();
  directory_entry(".", 1, 1, 4), directory_entry("caf\xe9\xff-8", 0x200000003ULL, OFFSET, 8);
  end("directory");
  begin_reply(); FIELDS(fuse_entry_out, .nodeid = 0); directory_entry(".", 1, 1, 4);
  put(&ENTRY, sizeof ENTRY), directory_entry("12345678", 0x200000003ULL, 3, 8);
  end("directory with attributes");
}

static void begin_notification(int32_t code) {
  struct fuse_out_header header = {.error = code};
  length = 0;
  put(&header, sizeof header);
}

static void notifications(void) {
  begin_notification(FUSE_NOTIFY_INVAL_INODE);
  FIELDS(fuse_notify_inval_inode_out, .ino = 0x200000003ULL, .off = OFFSET, .len = 4096);
  end("content changed");
  begin_notification(FUSE_NOTIFY_INVAL_INODE);
  FIELDS(fuse_notify_inval_inode_out, .ino = 0x200000003ULL, .off = -1);
  end("attributes changed");
  begin_notification(FUSE_NOTIFY_STORE);
  FIELDS(fuse_notify_store_out, .nodeid = 0x200000003ULL, .offset = OFFSET);
  end("grew");
  begin_notification(FUSE_NOTIFY_INVAL_ENTRY);
  FIELDS(fuse_notify_inval_entry_out, .parent = 1, .namelen = 2, .flags = FUSE_EXPIRE_ONLY);
  text("\xff" "b"), end("name changed");
  begin_notification(FUSE_NOTIFY_INVAL_ENTRY);
  FIELDS(fuse_notify_inval_entry_out, .parent = 1, .namelen = 2);
  text("\xff" "b"), end("name replaced");
  begin_notification(FUSE_NOTIFY_DELETE);
  FIELDS(fuse_notify_delete_out, .parent = 1, .child = 0x200000003ULL, .namelen = 2);
  text("\xff" "b"), end("name removed");
}

int main(int count, char **arguments) {
  if (count > 1 && strcmp(arguments[1], "reply") == 0) replies(), notifications();
  else requests();
  printf("\n}\n");
}
