/* A file system in memory, as a table of functions for ampoule/wasi.h: directories, files and symbolic links, in all no more than a
 * number of bytes. Nodes are known by their addresses. */
#ifndef MEMORY_FS_H
#define MEMORY_FS_H

#include <ampoule.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct node;

/* A name in a directory. Names keep the order in which they were made; each has a number, by which listing goes on wherever it was. */
struct name {
  struct name *next;
  struct node *node;
  uint64_t number;
  size_t len;
  char text[AMPOULE_WASI_MAX_NAME + 1];
};

struct node {
  ampoule_wasi_type_t type;
  uint64_t inode;             /* what the guest sees: an address would tell it about this process */
  uint64_t names, references; /* gone when it has neither */
  uint64_t accessed, modified;
  uint8_t *bytes; /* of a file; where a link leads */
  size_t size;
  struct name *entries; /* of a directory */
  struct node *parent;
  uint64_t last_number;
};

struct memory_fs {
  struct node root;
  size_t room; /* bytes that may still be used */
  uint64_t last_inode;
};

static inline uint64_t memory_fs_now(void) {
  struct timespec now;
  timespec_get(&now, TIME_UTC);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline struct node *node_of(ampoule_wasi_node_t number) { return (struct node *)(uintptr_t)number; }

static inline ampoule_wasi_node_t number_of(struct node *node) {
  node->references++;
  return (uintptr_t)node;
}

/* Makes the contents `size` bytes long, new ones zero. */
static inline ampoule_wasi_error_t memory_fs_resize(struct memory_fs *fs, struct node *node, uint64_t size) {
  if (size > node->size && size - node->size > fs->room) return AMPOULE_WASI_ENOSPC;
  uint8_t *bytes = realloc(node->bytes, size > 0 ? (size_t)size : 1);
  if (bytes == NULL) return AMPOULE_WASI_ENOMEM;
  if (size > node->size) memset(bytes + node->size, 0, (size_t)size - node->size);
  fs->room = fs->room + node->size - (size_t)size;
  node->bytes = bytes;
  node->size = (size_t)size;
  return AMPOULE_WASI_OK;
}

static inline void memory_fs_drop(struct memory_fs *fs, struct node *node) {
  if (node->names > 0 || node->references > 0) return;
  fs->room += node->size + sizeof *node;
  free(node->bytes);
  free(node);
}

/* Puts a name at its place behind the others. */
static inline void memory_fs_place(struct node *dir, struct name **at, struct name *name, const char *text, size_t len) {
  memset(name->text, 0, sizeof name->text);
  memcpy(name->text, text, len);
  name->len = len;
  name->number = ++dir->last_number;
  name->next = NULL;
  *at = name;
  if (name->node->type == AMPOULE_WASI_TYPE_DIRECTORY) name->node->parent = dir;
  dir->modified = memory_fs_now();
}

/* The place where a name is, or where the next one goes. */
static inline struct name **memory_fs_find(struct node *dir, const char *text, size_t len) {
  struct name **at = &dir->entries;
  while (*at != NULL && ((*at)->len != len || memcmp((*at)->text, text, len) != 0)) at = &(*at)->next;
  return at;
}

static inline ampoule_wasi_error_t memory_fs_add(struct memory_fs *fs, struct node *dir, const char *text, size_t len,
                                                 struct node *node) {
  struct name **at = memory_fs_find(dir, text, len);
  if (*at != NULL) return AMPOULE_WASI_EEXIST;
  if (dir->names == 0) return AMPOULE_WASI_ENOENT; /* it was removed */
  if (fs->room < sizeof **at) return AMPOULE_WASI_ENOSPC;
  struct name *name = calloc(1, sizeof *name);
  if (name == NULL) return AMPOULE_WASI_ENOMEM;
  fs->room -= sizeof *name;
  name->node = node;
  node->names++;
  memory_fs_place(dir, at, name, text, len);
  return AMPOULE_WASI_OK;
}

static inline void memory_fs_remove(struct memory_fs *fs, struct node *dir, struct name **at) {
  struct name *name = *at;
  *at = name->next;
  name->node->names--;
  memory_fs_drop(fs, name->node);
  free(name);
  fs->room += sizeof *name;
  dir->modified = memory_fs_now();
}

static inline ampoule_wasi_error_t memory_fs_make(struct memory_fs *fs, ampoule_wasi_node_t dir, const char *text, size_t len,
                                                  ampoule_wasi_type_t type, struct node **made) {
  if (fs->room < sizeof **made) return AMPOULE_WASI_ENOSPC;
  struct node *node = calloc(1, sizeof *node);
  if (node == NULL) return AMPOULE_WASI_ENOMEM;
  fs->room -= sizeof *node;
  node->type = type;
  node->inode = ++fs->last_inode;
  node->accessed = node->modified = memory_fs_now();
  ampoule_wasi_error_t error = memory_fs_add(fs, node_of(dir), text, len, node);
  if (error != AMPOULE_WASI_OK) memory_fs_drop(fs, node);
  *made = node;
  return error;
}

/* -- The functions of the table, in its order */

static inline void fs_finalize(void *env) {
  struct memory_fs *fs = env;
  struct node *dir = &fs->root;
  while (dir->entries != NULL) {
    struct node *child = dir->entries->node;
    if (child->entries != NULL) {
      dir = child; /* its entries first */
    } else {
      memory_fs_remove(fs, dir, &dir->entries);
      if (dir->entries == NULL && dir != &fs->root) dir = dir->parent;
    }
  }
  free(fs);
}

static inline ampoule_wasi_error_t fs_lookup(void *env, ampoule_wasi_node_t dir, const char *text, size_t len,
                                             ampoule_wasi_node_t *node, ampoule_wasi_type_t *type) {
  (void)env;
  struct name *name = *memory_fs_find(node_of(dir), text, len);
  if (name == NULL) return AMPOULE_WASI_ENOENT;
  *node = number_of(name->node);
  *type = name->node->type;
  return AMPOULE_WASI_OK;
}

static inline void fs_release(void *env, ampoule_wasi_node_t number) {
  node_of(number)->references--;
  memory_fs_drop(env, node_of(number));
}

static inline ampoule_wasi_error_t fs_stat(void *env, ampoule_wasi_node_t number, ampoule_wasi_stat_t *stat) {
  (void)env;
  struct node *node = node_of(number);
  stat->inode = node->inode;
  stat->links = node->names;
  stat->size = node->size;
  stat->accessed = node->accessed;
  stat->modified = stat->changed = node->modified;
  stat->type = node->type;
  return AMPOULE_WASI_OK;
}

static inline ampoule_wasi_error_t fs_read(void *env, ampoule_wasi_node_t file, uint64_t offset, uint8_t *buffer, size_t len,
                                           size_t *count) {
  (void)env;
  struct node *node = node_of(file);
  size_t left = offset < node->size ? node->size - (size_t)offset : 0;
  *count = len < left ? len : left;
  if (*count > 0) memcpy(buffer, node->bytes + offset, *count);
  node->accessed = memory_fs_now();
  return AMPOULE_WASI_OK;
}

static inline ampoule_wasi_error_t fs_write(void *env, ampoule_wasi_node_t file, uint64_t offset, const uint8_t *bytes, size_t len,
                                            size_t *count) {
  struct node *node = node_of(file);
  if (offset > INT64_MAX - len) return AMPOULE_WASI_EFBIG;
  if (offset + len > node->size) {
    ampoule_wasi_error_t error = memory_fs_resize(env, node, offset + len);
    if (error != AMPOULE_WASI_OK) return error;
  }
  memcpy(node->bytes + offset, bytes, len);
  *count = len;
  node->modified = memory_fs_now();
  return AMPOULE_WASI_OK;
}

static inline ampoule_wasi_error_t fs_set_size(void *env, ampoule_wasi_node_t file, uint64_t size) {
  node_of(file)->modified = memory_fs_now();
  return memory_fs_resize(env, node_of(file), size);
}

static inline ampoule_wasi_error_t fs_set_times(void *env, ampoule_wasi_node_t number, uint64_t accessed, uint64_t modified) {
  (void)env;
  struct node *node = node_of(number);
  uint64_t now = memory_fs_now();
  if (accessed != AMPOULE_WASI_TIME_KEEP) node->accessed = accessed == AMPOULE_WASI_TIME_NOW ? now : accessed;
  if (modified != AMPOULE_WASI_TIME_KEEP) node->modified = modified == AMPOULE_WASI_TIME_NOW ? now : modified;
  return AMPOULE_WASI_OK;
}

static inline ampoule_wasi_error_t fs_entry(void *env, ampoule_wasi_node_t dir, uint64_t cursor, ampoule_wasi_entry_t *entry,
                                            bool *end) {
  (void)env;
  struct name *name = node_of(dir)->entries;
  while (name != NULL && name->number < cursor) name = name->next;
  *end = name == NULL;
  if (name == NULL) return AMPOULE_WASI_OK;
  entry->next = name->number + 1;
  entry->inode = name->node->inode;
  entry->type = name->node->type;
  entry->name_len = name->len;
  memcpy(entry->name, name->text, name->len);
  return AMPOULE_WASI_OK;
}

static inline ampoule_wasi_error_t fs_read_link(void *env, ampoule_wasi_node_t link, char *target, size_t capacity, size_t *len) {
  (void)env;
  struct node *node = node_of(link);
  *len = node->size < capacity ? node->size : capacity;
  memcpy(target, node->bytes, *len);
  return AMPOULE_WASI_OK;
}

static inline ampoule_wasi_error_t fs_create(void *env, ampoule_wasi_node_t dir, const char *text, size_t len,
                                             ampoule_wasi_node_t *node) {
  struct node *made;
  ampoule_wasi_error_t error = memory_fs_make(env, dir, text, len, AMPOULE_WASI_TYPE_REGULAR_FILE, &made);
  if (error == AMPOULE_WASI_OK) *node = number_of(made);
  return error;
}

static inline ampoule_wasi_error_t fs_create_dir(void *env, ampoule_wasi_node_t dir, const char *text, size_t len) {
  struct node *made;
  return memory_fs_make(env, dir, text, len, AMPOULE_WASI_TYPE_DIRECTORY, &made);
}

static inline ampoule_wasi_error_t fs_symlink(void *env, const char *target, size_t target_len, ampoule_wasi_node_t dir,
                                              const char *text, size_t len) {
  struct node *made;
  ampoule_wasi_error_t error = memory_fs_make(env, dir, text, len, AMPOULE_WASI_TYPE_SYMBOLIC_LINK, &made);
  if (error != AMPOULE_WASI_OK) return error;
  error = memory_fs_resize(env, made, target_len);
  if (error != AMPOULE_WASI_OK) memory_fs_remove(env, node_of(dir), memory_fs_find(node_of(dir), text, len));
  else memcpy(made->bytes, target, target_len);
  return error;
}

static inline ampoule_wasi_error_t fs_link(void *env, ampoule_wasi_node_t node, ampoule_wasi_node_t dir, const char *text,
                                           size_t len) {
  return memory_fs_add(env, node_of(dir), text, len, node_of(node));
}

static inline ampoule_wasi_error_t fs_rename(void *env, ampoule_wasi_node_t dir, const char *text, size_t len,
                                             ampoule_wasi_node_t new_dir, const char *new_text, size_t new_len) {
  struct name *name = *memory_fs_find(node_of(dir), text, len);
  if (name == NULL) return AMPOULE_WASI_ENOENT;
  if (node_of(new_dir)->names == 0) return AMPOULE_WASI_ENOENT; /* it was removed */
  struct node *node = name->node;
  bool is_dir = node->type == AMPOULE_WASI_TYPE_DIRECTORY;
  for (struct node *above = node_of(new_dir); is_dir && above != NULL; above = above->parent) {
    if (above == node) return AMPOULE_WASI_EINVAL;
  }
  struct name **there = memory_fs_find(node_of(new_dir), new_text, new_len);
  if (*there != NULL) {
    if ((*there)->node == node) return AMPOULE_WASI_OK;
    bool onto_dir = (*there)->node->type == AMPOULE_WASI_TYPE_DIRECTORY;
    if (is_dir && !onto_dir) return AMPOULE_WASI_ENOTDIR;
    if (!is_dir && onto_dir) return AMPOULE_WASI_EISDIR;
    if ((*there)->node->entries != NULL) return AMPOULE_WASI_ENOTEMPTY;
    memory_fs_remove(env, node_of(new_dir), there);
  }
  /* The same record goes from one list to the other: a full file system is no obstacle. */
  *memory_fs_find(node_of(dir), text, len) = name->next;
  memory_fs_place(node_of(new_dir), memory_fs_find(node_of(new_dir), new_text, new_len), name, new_text, new_len);
  node_of(dir)->modified = memory_fs_now();
  return AMPOULE_WASI_OK;
}

static inline ampoule_wasi_error_t fs_remove_file(void *env, ampoule_wasi_node_t dir, const char *text, size_t len) {
  struct name **at = memory_fs_find(node_of(dir), text, len);
  if (*at == NULL) return AMPOULE_WASI_ENOENT;
  memory_fs_remove(env, node_of(dir), at);
  return AMPOULE_WASI_OK;
}

static inline ampoule_wasi_error_t fs_remove_dir(void *env, ampoule_wasi_node_t dir, const char *text, size_t len) {
  struct name **at = memory_fs_find(node_of(dir), text, len);
  if (*at == NULL) return AMPOULE_WASI_ENOENT;
  if ((*at)->node->entries != NULL) return AMPOULE_WASI_ENOTEMPTY;
  memory_fs_remove(env, node_of(dir), at);
  return AMPOULE_WASI_OK;
}

/* A new file system for as many bytes, and the table that goes with it, which owns it. */
static inline ampoule_wasi_filesystem_t memory_fs_new(size_t room) {
  struct memory_fs *fs = calloc(1, sizeof *fs);
  if (fs == NULL) abort();
  fs->root.type = AMPOULE_WASI_TYPE_DIRECTORY;
  fs->root.names = 1;
  fs->room = room;
  return (ampoule_wasi_filesystem_t){
      .size = sizeof(ampoule_wasi_filesystem_t),
      .env = fs,
      .finalizer = fs_finalize,
      .root = (uintptr_t)&fs->root,
      .lookup = fs_lookup,
      .release = fs_release,
      .stat = fs_stat,
      .read = fs_read,
      .write = fs_write,
      .set_size = fs_set_size,
      .set_times = fs_set_times,
      .entry = fs_entry,
      .read_link = fs_read_link,
      .create = fs_create,
      .create_dir = fs_create_dir,
      .symlink = fs_symlink,
      .link = fs_link,
      .rename = fs_rename,
      .remove_file = fs_remove_file,
      .remove_dir = fs_remove_dir,
  };
}

/* Puts a file into the root directory, for the host. */
static inline void memory_fs_put(const ampoule_wasi_filesystem_t *fs, const char *name, const char *text) {
  ampoule_wasi_node_t file;
  size_t count;
  if (fs->create(fs->env, fs->root, name, strlen(name), &file) != AMPOULE_WASI_OK) abort();
  if (*text && fs->write(fs->env, file, 0, (const uint8_t *)text, strlen(text), &count) != AMPOULE_WASI_OK) abort();
  fs->release(fs->env, file);
}

#endif
