/*
 * The native part of the linux driver: what JavaScript cannot do by itself with /dev/fuse.
 *
 * It opens or receives the descriptor, mounts and unmounts on a thread, polls the descriptor in
 * the event loop, reads a request into one reused buffer, writes a reply from another, and has
 * one thread for notifications, because those block inside the kernel for as long as a request
 * about the same page is unanswered. It knows nothing of the protocol: that is TypeScript.
 *
 * Every function returns a number: a result of at least 0, or -errno. The caller decides what an
 * error means. Arguments are checked by fuse-device.ts, the only caller; a wrong type throws.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <errno.h>
#include <fcntl.h>
#include <node_api.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/*
 * The few functions of libuv 1 that poll a descriptor. Node exports them, but its package of
 * headers has no uv.h; the names, the types and the number of UV_POLL are stable in libuv 1.
 */
typedef struct uv_loop_s uv_loop_t;
typedef struct uv_handle_s uv_handle_t;
typedef void (*uv_close_cb)(uv_handle_t *handle);
typedef void (*uv_poll_cb)(uv_handle_t *handle, int status, int events);
enum { UV_POLL_HANDLE = 8, UV_READABLE_EVENT = 1 };
extern size_t uv_handle_size(int type);
extern void uv_handle_set_data(uv_handle_t *handle, void *data);
extern void *uv_handle_get_data(const uv_handle_t *handle);
extern int uv_poll_init(uv_loop_t *loop, uv_handle_t *handle, int fd);
extern int uv_poll_start(uv_handle_t *handle, int events, uv_poll_cb callback);
extern int uv_poll_stop(uv_handle_t *handle);
extern void uv_close(uv_handle_t *handle, uv_close_cb callback);

/* What the headers of an older system do not have; the kernel says ENOSYS or EINVAL itself. */
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif
#ifndef FUSE_DEV_IOC_CLONE
#define FUSE_DEV_IOC_CLONE _IOR(229, 0, uint32_t)
#endif

/* The kernel takes up to 1,024 vectors; the first is the header. */
enum { REPLY_PARTS_MAX = 1023 };
/* How long a notification waits that was refused because its node was not installed yet. */
static const int64_t NOTIFY_RETRY_NS = 100 * 1000 * 1000;

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- Small helpers around Node-API ---- */

static napi_value number(napi_env env, int64_t value) {
  napi_value result = NULL;
  napi_create_int64(env, value, &result);
  return result;
}

static napi_value wrong_arguments(napi_env env) {
  napi_throw_type_error(env, NULL, "fuse-device: wrong arguments");
  return NULL;
}

/* Copies a string argument; NULL when it is no string or memory is short. The caller frees. */
static char *string_of(napi_env env, napi_value value) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) return NULL;
  char *text = malloc(length + 1);
  if (text != NULL) napi_get_value_string_utf8(env, value, text, length + 1, &length);
  return text;
}

/* ---- The notify thread ---- */

typedef struct Notification {
  struct Notification *next;
  int64_t due_ns;
  bool may_retry;
  size_t length;
  uint8_t bytes[];
} Notification;

typedef struct {
  Notification *first, *last;
} NotificationList;

/* Shared by the event loop and the thread; the last of the two frees it. */
typedef struct {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  NotificationList waiting, retrying;
  size_t queued, queued_bytes, queued_max, queued_bytes_max;
  double sent, missed, failed;
  int last_errno;
  int fd;
  int users;
  bool ready, own_table, stopping;
} Notifier;

static void append(NotificationList *list, Notification *item) {
  item->next = NULL;
  if (list->last == NULL) list->first = item;
  else list->last->next = item;
  list->last = item;
}

static Notification *take(NotificationList *list) {
  Notification *item = list->first;
  if (item == NULL) return NULL;
  list->first = item->next;
  if (list->first == NULL) list->last = NULL;
  return item;
}

/* Called with the mutex held; unlocks it. */
static void notifier_leave(Notifier *notifier) {
  bool last = --notifier->users == 0;
  pthread_mutex_unlock(&notifier->mutex);
  if (!last) return;
  Notification *item;
  while ((item = take(&notifier->waiting)) != NULL) free(item);
  while ((item = take(&notifier->retrying)) != NULL) free(item);
  pthread_cond_destroy(&notifier->changed);
  pthread_mutex_destroy(&notifier->mutex);
  free(notifier);
}

/* The next notification that is due; waits for one. NULL when stopping. Mutex held. */
static Notification *next_due(Notifier *notifier) {
  while (!notifier->stopping) {
    Notification *late = notifier->retrying.first;
    if (late != NULL && late->due_ns <= now_ns()) return take(&notifier->retrying);
    if (notifier->waiting.first != NULL) return take(&notifier->waiting);
    if (late == NULL) {
      pthread_cond_wait(&notifier->changed, &notifier->mutex);
    } else {
      struct timespec until = {late->due_ns / 1000000000, late->due_ns % 1000000000};
      pthread_cond_timedwait(&notifier->changed, &notifier->mutex, &until);
    }
  }
  return NULL;
}

/*
 * Gives this thread a table of descriptors of its own with nothing in it but `fd`. When the
 * process is killed while the thread is stuck in the kernel, the main descriptor is closed all
 * the same, which ends the requests the thread waits for, and the process can die.
 */
static bool own_descriptor_table(int fd) {
  if (syscall(SYS_close_range, fd + 1, ~0U, CLOSE_RANGE_UNSHARE) != 0) return false;
  return fd == 0 || syscall(SYS_close_range, 0, fd - 1, 0) == 0;
}

static void *notify_thread(void *data) {
  Notifier *notifier = data;
  bool own_table = own_descriptor_table(notifier->fd);
  pthread_mutex_lock(&notifier->mutex);
  notifier->own_table = own_table;
  notifier->ready = true;
  pthread_cond_broadcast(&notifier->changed);

  Notification *item;
  while ((item = next_due(notifier)) != NULL) {
    pthread_mutex_unlock(&notifier->mutex);
    ssize_t written = write(notifier->fd, item->bytes, item->length);
    int error = written < 0 ? errno : 0;
    pthread_mutex_lock(&notifier->mutex);
    if (error == ENOENT && item->may_retry) {
      item->may_retry = false;
      item->due_ns = now_ns() + NOTIFY_RETRY_NS;
      append(&notifier->retrying, item);
      continue;
    }
    if (error == 0) notifier->sent++;
    else if (error == ENOENT) notifier->missed++;
    else notifier->failed++, notifier->last_errno = error;
    notifier->queued--;
    notifier->queued_bytes -= item->length;
    free(item);
  }
  close(notifier->fd);
  notifier_leave(notifier);
  return NULL;
}

/*
 * A descriptor of the same connection for the thread: a clone where /dev/fuse may be opened, so
 * that it does not hold the main one open; otherwise a duplicate, which works but for the above.
 */
static int notify_descriptor(int fd) {
  int clone = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (clone >= 0) {
    uint32_t source = fd;
    if (ioctl(clone, FUSE_DEV_IOC_CLONE, &source) == 0) return clone;
    close(clone);
  }
  return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* Starts the thread; NULL and errno on failure. */
static Notifier *notifier_start(int fd, size_t queued_max, size_t queued_bytes_max) {
  Notifier *notifier = calloc(1, sizeof *notifier);
  if (notifier == NULL) return NULL;
  notifier->fd = notify_descriptor(fd);
  if (notifier->fd < 0) {
    free(notifier);
    return NULL;
  }
  notifier->queued_max = queued_max;
  notifier->queued_bytes_max = queued_bytes_max;
  notifier->users = 2;
  pthread_mutex_init(&notifier->mutex, NULL);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&notifier->changed, &attributes);
  pthread_condattr_destroy(&attributes);

  /* Signals belong to the other threads: a handler here would write to a descriptor we lack. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  int error = pthread_create(&thread, NULL, notify_thread, notifier);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error != 0) {
    close(notifier->fd);
    free(notifier);
    errno = error;
    return NULL;
  }
  pthread_detach(thread);
  pthread_mutex_lock(&notifier->mutex);
  while (!notifier->ready) pthread_cond_wait(&notifier->changed, &notifier->mutex);
  if (notifier->own_table) close(notifier->fd);
  pthread_mutex_unlock(&notifier->mutex);
  return notifier;
}

static void notifier_stop(Notifier *notifier) {
  pthread_mutex_lock(&notifier->mutex);
  notifier->stopping = true;
  pthread_cond_broadcast(&notifier->changed);
  notifier_leave(notifier);
}

static int notifier_push(Notifier *notifier, const void *bytes, size_t length, bool may_retry) {
  Notification *item = malloc(sizeof *item + length);
  if (item == NULL) return -ENOMEM;
  item->length = length;
  item->may_retry = may_retry;
  memcpy(item->bytes, bytes, length);
  pthread_mutex_lock(&notifier->mutex);
  bool full = notifier->queued >= notifier->queued_max ||
              notifier->queued_bytes + length > notifier->queued_bytes_max;
  if (!full) {
    notifier->queued++;
    notifier->queued_bytes += length;
    append(&notifier->waiting, item);
    pthread_cond_broadcast(&notifier->changed);
  }
  pthread_mutex_unlock(&notifier->mutex);
  if (full) free(item);
  return full ? -EAGAIN : 0;
}

/* ---- The device ---- */

typedef struct {
  napi_env env;
  napi_async_context context;
  napi_async_cleanup_hook_handle cleanup;
  napi_ref self, on_readable, request_ref, reply_ref;
  uint8_t *request, *reply;
  size_t request_size, reply_size;
  uv_handle_t *poll;
  Notifier *notifier;
  int fd;
  /* A turn of the event loop serves at most this many requests for at most this long. */
  int64_t turn_ns_max, turn_end_ns;
  uint32_t turn_requests_max, turn_requests_left;
  /* How long to ask again before going back to the event loop; adapts between 0 and the maximum. */
  int64_t spin_ns_max, spin_ns, idle_since_ns;
} Device;

static Device *device_of(napi_env env, napi_callback_info info, size_t *count, napi_value *values) {
  napi_value self;
  void *device = NULL;
  if (napi_get_cb_info(env, info, count, values, &self, NULL) != napi_ok ||
      napi_unwrap(env, self, &device) != napi_ok) {
    wrong_arguments(env);
    return NULL;
  }
  return device;
}

static void on_poll(uv_handle_t *handle, int status, int events) {
  (void)status, (void)events;
  Device *device = uv_handle_get_data(handle);
  napi_env env = device->env;
  int64_t now = now_ns();
  device->turn_end_ns = now + device->turn_ns_max;
  device->turn_requests_left = device->turn_requests_max;
  /* A request that came this soon would have been caught by spinning: spin again. */
  if (now - device->idle_since_ns < device->spin_ns_max) device->spin_ns = device->spin_ns_max;

  napi_handle_scope scope;
  napi_open_handle_scope(env, &scope);
  napi_value self, callback, ignored;
  napi_get_reference_value(env, device->self, &self);
  napi_get_reference_value(env, device->on_readable, &callback);
  if (napi_make_callback(env, device->context, self, callback, 0, NULL, &ignored) ==
      napi_pending_exception) {
    napi_value error;
    napi_get_and_clear_last_exception(env, &error);
    napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

static ssize_t read_request(Device *device) {
  for (;;) {
    ssize_t length = read(device->fd, device->request, device->request_size);
    if (length >= 0) return length;
    /* ENOENT: this request was interrupted before it was read; take the next. */
    if (errno != EINTR && errno != ENOENT) return -errno;
  }
}

/* Asks again for a while: a program's next call mostly follows within microseconds. */
static ssize_t spin(Device *device, int64_t now) {
  int64_t end = now + device->spin_ns;
  if (end > device->turn_end_ns) end = device->turn_end_ns;
  ssize_t length;
  do {
    sched_yield();
    length = read_request(device);
    now = now_ns();
  } while (length == -EAGAIN && now < end);
  if (length == -EAGAIN) {
    device->spin_ns = device->spin_ns < 2000 ? 0 : device->spin_ns / 2;
    device->idle_since_ns = now;
  } else {
    device->spin_ns = device->spin_ns_max;
  }
  return length;
}

/* read(maySpin): the length of the request, 0 when this turn is over, -errno when the mount is. */
static napi_value device_read(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value values[1];
  bool may_spin = false;
  Device *device = device_of(env, info, &count, values);
  if (device == NULL) return NULL;
  if (napi_get_value_bool(env, values[0], &may_spin) != napi_ok) return wrong_arguments(env);
  if (device->fd < 0) return number(env, -EBADF);
  int64_t now = now_ns();
  if (device->turn_requests_left == 0 || now >= device->turn_end_ns) return number(env, 0);
  device->turn_requests_left--;
  ssize_t length = read_request(device);
  if (length == -EAGAIN) {
    if (may_spin && device->spin_ns > 0) length = spin(device, now);
    else device->idle_since_ns = now;
  }
  return number(env, length == -EAGAIN ? 0 : length);
}

/* isReadable(): 1 if a request waits to be read, or the mount has ended; 0 if not. */
static napi_value device_is_readable(napi_env env, napi_callback_info info) {
  size_t count = 0;
  Device *device = device_of(env, info, &count, NULL);
  if (device == NULL) return NULL;
  if (device->fd < 0) return number(env, 0);
  struct pollfd request = {.fd = device->fd, .events = POLLIN};
  return number(env, poll(&request, 1, 0) > 0);
}

/* reply(length): writes the first `length` bytes of the reply buffer. */
static napi_value device_reply(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value values[1];
  uint32_t length = 0;
  Device *device = device_of(env, info, &count, values);
  if (device == NULL) return NULL;
  if (napi_get_value_uint32(env, values[0], &length) != napi_ok || length > device->reply_size)
    return wrong_arguments(env);
  ssize_t written = write(device->fd, device->reply, length);
  return number(env, written < 0 ? -errno : written);
}

/* replyParts(length, parts): the same, with the bytes of an array of Uint8Array behind it. */
static napi_value device_reply_parts(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value values[2];
  uint32_t length = 0, parts = 0;
  Device *device = device_of(env, info, &count, values);
  if (device == NULL) return NULL;
  if (napi_get_value_uint32(env, values[0], &length) != napi_ok || length > device->reply_size ||
      napi_get_array_length(env, values[1], &parts) != napi_ok || parts > REPLY_PARTS_MAX)
    return wrong_arguments(env);
  struct iovec vectors[REPLY_PARTS_MAX + 1];
  vectors[0] = (struct iovec){device->reply, length};
  for (uint32_t index = 0; index < parts; index++) {
    napi_value part;
    void *bytes;
    size_t size;
    napi_typedarray_type type;
    if (napi_get_element(env, values[1], index, &part) != napi_ok ||
        napi_get_typedarray_info(env, part, &type, &size, &bytes, NULL, NULL) != napi_ok ||
        type != napi_uint8_array)
      return wrong_arguments(env);
    vectors[index + 1] = (struct iovec){bytes, size};
  }
  ssize_t written = writev(device->fd, vectors, (int)parts + 1);
  return number(env, written < 0 ? -errno : written);
}

/* notify(message, mayRetry): queues a notification; -EAGAIN when the queue is full. */
static napi_value device_notify(napi_env env, napi_callback_info info) {
  size_t count = 2, length = 0;
  napi_value values[2];
  void *bytes = NULL;
  bool may_retry = false;
  napi_typedarray_type type;
  Device *device = device_of(env, info, &count, values);
  if (device == NULL) return NULL;
  if (napi_get_typedarray_info(env, values[0], &type, &length, &bytes, NULL, NULL) != napi_ok ||
      type != napi_uint8_array || napi_get_value_bool(env, values[1], &may_retry) != napi_ok)
    return wrong_arguments(env);
  if (device->notifier == NULL) return number(env, -EBADF);
  return number(env, notifier_push(device->notifier, bytes, length, may_retry));
}

/* notifyStatus(): [queued, sent, missed, failed, last errno]. */
static napi_value device_notify_status(napi_env env, napi_callback_info info) {
  size_t count = 0;
  Device *device = device_of(env, info, &count, NULL);
  if (device == NULL) return NULL;
  double status[5] = {0};
  Notifier *notifier = device->notifier;
  if (notifier != NULL) {
    pthread_mutex_lock(&notifier->mutex);
    status[0] = (double)notifier->queued;
    status[1] = notifier->sent;
    status[2] = notifier->missed;
    status[3] = notifier->failed;
    status[4] = notifier->last_errno;
    pthread_mutex_unlock(&notifier->mutex);
  }
  napi_value result;
  napi_create_array_with_length(env, 5, &result);
  for (uint32_t index = 0; index < 5; index++) {
    napi_value value;
    napi_create_double(env, status[index], &value);
    napi_set_element(env, result, index, value);
  }
  return result;
}

static void on_closed(uv_handle_t *handle) {
  Device *device = uv_handle_get_data(handle);
  if (device != NULL) {
    device->poll = NULL;
    napi_env env = device->env;
    napi_handle_scope scope;
    napi_open_handle_scope(env, &scope);
    napi_async_destroy(env, device->context);
    napi_delete_reference(env, device->on_readable);
    napi_delete_reference(env, device->request_ref);
    napi_delete_reference(env, device->reply_ref);
    napi_delete_reference(env, device->self);
    napi_close_handle_scope(env, scope);
    napi_remove_async_cleanup_hook(device->cleanup);
  }
  free(handle);
}

static void close_device(Device *device) {
  if (device->fd < 0) return;
  uv_poll_stop(device->poll);
  uv_close(device->poll, on_closed);
  if (device->notifier != NULL) notifier_stop(device->notifier);
  device->notifier = NULL;
  close(device->fd);
  device->fd = -1;
}

/* The environment ends (a worker that stops): the loop must not be left with our handle. */
static void on_environment_end(napi_async_cleanup_hook_handle handle, void *data) {
  Device *device = data;
  device->cleanup = handle;
  close_device(device);
}

static napi_value device_close(napi_env env, napi_callback_info info) {
  size_t count = 0;
  Device *device = device_of(env, info, &count, NULL);
  if (device != NULL) close_device(device);
  return NULL;
}

/* start(): begins to poll. 0 or -errno. */
static napi_value device_start(napi_env env, napi_callback_info info) {
  size_t count = 0;
  Device *device = device_of(env, info, &count, NULL);
  if (device == NULL) return NULL;
  if (device->fd < 0) return number(env, -EBADF);
  return number(env, uv_poll_start(device->poll, UV_READABLE_EVENT, on_poll));
}

/* startNotifier(queuedMax, queuedBytesMax): starts the notify thread. 0 or -errno. */
static napi_value device_start_notifier(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value values[2];
  uint32_t queued_max = 0, queued_bytes_max = 0;
  Device *device = device_of(env, info, &count, values);
  if (device == NULL) return NULL;
  if (napi_get_value_uint32(env, values[0], &queued_max) != napi_ok ||
      napi_get_value_uint32(env, values[1], &queued_bytes_max) != napi_ok)
    return wrong_arguments(env);
  if (device->fd < 0 || device->notifier != NULL) return number(env, -EBADF);
  device->notifier = notifier_start(device->fd, queued_max, queued_bytes_max);
  return number(env, device->notifier == NULL ? -errno : 0);
}

static void free_device(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  free(data);
}

static bool buffer_of(napi_env env, napi_value value, uint8_t **bytes, size_t *size, napi_ref *ref) {
  napi_typedarray_type type;
  return napi_get_typedarray_info(env, value, &type, size, (void **)bytes, NULL, NULL) == napi_ok &&
         type == napi_uint8_array && napi_create_reference(env, value, 1, ref) == napi_ok;
}

/*
 * new FuseDevice(fd, request, reply, onReadable, turnMicroseconds, turnRequests, spinMicroseconds)
 * Takes the descriptor; it is closed by close().
 */
static napi_value device_new(napi_env env, napi_callback_info info) {
  size_t count = 7;
  napi_value values[7], self, name;
  uint32_t turn_us = 0, turn_requests = 0, spin_us = 0;
  Device *device = calloc(1, sizeof *device);
  if (device == NULL) return wrong_arguments(env);
  if (napi_get_cb_info(env, info, &count, values, &self, NULL) != napi_ok || count != 7 ||
      napi_get_value_int32(env, values[0], &device->fd) != napi_ok ||
      !buffer_of(env, values[1], &device->request, &device->request_size, &device->request_ref) ||
      !buffer_of(env, values[2], &device->reply, &device->reply_size, &device->reply_ref) ||
      napi_create_reference(env, values[3], 1, &device->on_readable) != napi_ok ||
      napi_get_value_uint32(env, values[4], &turn_us) != napi_ok ||
      napi_get_value_uint32(env, values[5], &turn_requests) != napi_ok ||
      napi_get_value_uint32(env, values[6], &spin_us) != napi_ok) {
    free(device);
    return wrong_arguments(env);
  }
  device->env = env;
  device->turn_ns_max = (int64_t)turn_us * 1000;
  device->turn_requests_max = turn_requests;
  device->spin_ns = device->spin_ns_max = (int64_t)spin_us * 1000;
  uv_loop_t *loop = NULL;
  napi_get_uv_event_loop(env, &loop);
  device->poll = calloc(1, uv_handle_size(UV_POLL_HANDLE));
  int error = device->poll == NULL ? -ENOMEM : uv_poll_init(loop, device->poll, device->fd);
  if (error != 0) {
    free(device->poll);
    free(device);
    napi_throw_error(env, NULL, strerror(-error));
    return NULL;
  }
  uv_handle_set_data(device->poll, device);
  napi_create_string_utf8(env, "FUSE", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, self, name, &device->context);
  napi_add_async_cleanup_hook(env, on_environment_end, device, &device->cleanup);
  napi_wrap(env, self, device, free_device, NULL, NULL);
  napi_create_reference(env, self, 1, &device->self);
  return self;
}

/* ---- Mounting: everything that may wait, on a thread of the pool ---- */

typedef enum { TASK_MOUNT, TASK_UNMOUNT, TASK_RECEIVE } TaskKind;

typedef struct {
  TaskKind kind;
  napi_async_work work;
  napi_deferred deferred;
  char *directory, *type, *options;
  uint32_t flags;
  int fd;
  int64_t result;
} Task;

/* Receives one descriptor over a socket, as fusermount3 sends it. */
static int receive_descriptor(int fd) {
  char byte, control[CMSG_SPACE(sizeof(int))];
  struct iovec vector = {&byte, 1};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
                           .msg_controllen = sizeof control};
  ssize_t length;
  do length = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  while (length < 0 && errno == EINTR);
  if (length < 0) return -errno;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (length == 0 || header == NULL || header->cmsg_type != SCM_RIGHTS) return -ENOENT;
  int received;
  memcpy(&received, CMSG_DATA(header), sizeof received);
  return fcntl(received, F_SETFL, O_NONBLOCK) == 0 ? received : -errno;
}

static void run_task(napi_env env, void *data) {
  (void)env;
  Task *task = data;
  if (task->kind == TASK_RECEIVE) {
    task->result = receive_descriptor(task->fd);
    return;
  }
  int failed = task->kind == TASK_MOUNT
                   ? mount("grove", task->directory, task->type, task->flags, task->options)
                   : umount2(task->directory, (int)task->flags);
  task->result = failed != 0 ? -errno : 0;
}

static void finish_task(napi_env env, napi_status status, void *data) {
  Task *task = data;
  int64_t result = status == napi_ok ? task->result : -ECANCELED;
  napi_resolve_deferred(env, task->deferred, number(env, result));
  napi_delete_async_work(env, task->work);
  free(task->directory);
  free(task->type);
  free(task->options);
  free(task);
}

static napi_value start_task(napi_env env, Task *task) {
  napi_value promise, name;
  napi_create_promise(env, &task->deferred, &promise);
  napi_create_string_utf8(env, "FUSE mount", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, NULL, name, run_task, finish_task, task, &task->work);
  napi_queue_async_work(env, task->work);
  return promise;
}

/* mount(directory, type, flags, options): a promise of 0 or -errno. */
static napi_value start_mount(napi_env env, napi_callback_info info) {
  size_t count = 4;
  napi_value values[4];
  Task *task = calloc(1, sizeof *task);
  if (task == NULL || napi_get_cb_info(env, info, &count, values, NULL, NULL) != napi_ok ||
      (task->directory = string_of(env, values[0])) == NULL ||
      (task->type = string_of(env, values[1])) == NULL ||
      napi_get_value_uint32(env, values[2], &task->flags) != napi_ok ||
      (task->options = string_of(env, values[3])) == NULL)
    return wrong_arguments(env);
  task->kind = TASK_MOUNT;
  return start_task(env, task);
}

/* unmount(directory, flags): a promise of 0 or -errno. The caller must go on serving requests. */
static napi_value start_unmount(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value values[2];
  Task *task = calloc(1, sizeof *task);
  if (task == NULL || napi_get_cb_info(env, info, &count, values, NULL, NULL) != napi_ok ||
      (task->directory = string_of(env, values[0])) == NULL ||
      napi_get_value_uint32(env, values[1], &task->flags) != napi_ok)
    return wrong_arguments(env);
  task->kind = TASK_UNMOUNT;
  return start_task(env, task);
}

/* receiveDescriptor(socket, timeoutMs): a promise of the descriptor or -errno. */
static napi_value start_receive(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value values[2];
  uint32_t timeout_ms = 0;
  Task *task = calloc(1, sizeof *task);
  if (task == NULL || napi_get_cb_info(env, info, &count, values, NULL, NULL) != napi_ok ||
      napi_get_value_int32(env, values[0], &task->fd) != napi_ok ||
      napi_get_value_uint32(env, values[1], &timeout_ms) != napi_ok)
    return wrong_arguments(env);
  struct timeval timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
  setsockopt(task->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  task->kind = TASK_RECEIVE;
  return start_task(env, task);
}

/* openDevice(): a descriptor of /dev/fuse or -errno. */
static napi_value open_device(napi_env env, napi_callback_info info) {
  (void)info;
  int fd = open("/dev/fuse", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  return number(env, fd < 0 ? -errno : fd);
}

/* socketPair(): two connected descriptors, or -errno. */
static napi_value socket_pair(napi_env env, napi_callback_info info) {
  (void)info;
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return number(env, -errno);
  napi_value result;
  napi_create_array_with_length(env, 2, &result);
  for (uint32_t index = 0; index < 2; index++)
    napi_set_element(env, result, index, number(env, fds[index]));
  return result;
}

/* closeDescriptor(fd) */
static napi_value close_descriptor(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value values[1];
  int32_t fd = -1;
  if (napi_get_cb_info(env, info, &count, values, NULL, NULL) != napi_ok ||
      napi_get_value_int32(env, values[0], &fd) != napi_ok)
    return wrong_arguments(env);
  return number(env, close(fd) != 0 ? -errno : 0);
}

#define METHOD(name, function) {name, NULL, function, NULL, NULL, NULL, napi_default, NULL}

NAPI_MODULE_INIT() {
  napi_property_descriptor methods[] = {
      METHOD("start", device_start),
      METHOD("startNotifier", device_start_notifier),
      METHOD("isReadable", device_is_readable),
      METHOD("read", device_read),
      METHOD("reply", device_reply),
      METHOD("replyParts", device_reply_parts),
      METHOD("notify", device_notify),
      METHOD("notifyStatus", device_notify_status),
      METHOD("close", device_close),
  };
  napi_property_descriptor functions[] = {
      METHOD("openDevice", open_device),
      METHOD("mount", start_mount),
      METHOD("unmount", start_unmount),
      METHOD("socketPair", socket_pair),
      METHOD("receiveDescriptor", start_receive),
      METHOD("closeDescriptor", close_descriptor),
  };
  napi_value device_class;
  napi_define_class(env, "FuseDevice", NAPI_AUTO_LENGTH, device_new, NULL,
                    sizeof methods / sizeof *methods, methods, &device_class);
  napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
  napi_set_named_property(env, exports, "FuseDevice", device_class);
  return exports;
}
